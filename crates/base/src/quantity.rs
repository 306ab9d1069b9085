//! Durations, sizes and rates as people write them, kept with the unit they were written in.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Why a quantity could not be read. The message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No number in front.
    #[error("`{0}` does not start with a whole number")]
    NoNumber(String),
    /// The number has more digits than fit.
    #[error("`{0}` is too large")]
    TooLarge(String),
    /// The unit is none of those that exist.
    #[error("`{unit}` is no unit of {what}; write {examples}")]
    Unit {
        /// What was written.
        unit: String,
        /// What is being measured.
        what: &'static str,
        /// What would be right.
        examples: &'static str,
    },
}

/// A length of time in whole units: `15m`, `72h`, `30d`, `12 months`.
///
/// Two periods are equal when they last equally long (`60m` is `1h`). A month counts as 30 days and a year as 365,
/// which is right for limits and intervals and wrong for calendars; deadlines that a calendar decides are not a
/// `Period`'s business.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    amount: u64,
    unit: TimeUnit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeUnit {
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl TimeUnit {
    const ALL: [Self; 8] =
        [Self::Millisecond, Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// The short form, the long form, and how many milliseconds it lasts.
    const fn facts(self) -> (&'static str, &'static str, u64) {
        match self {
            Self::Millisecond => ("ms", "millisecond", 1),
            Self::Second => ("s", "second", 1_000),
            Self::Minute => ("m", "minute", 60_000),
            Self::Hour => ("h", "hour", 3_600_000),
            Self::Day => ("d", "day", 86_400_000),
            Self::Week => ("w", "week", 7 * 86_400_000),
            Self::Month => (" months", "month", 30 * 86_400_000),
            Self::Year => (" years", "year", 365 * 86_400_000),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| {
            let (short, long, _) = unit.facts();
            text == short.trim_start() || text == long || text.strip_suffix('s') == Some(long)
        })
    }
}

impl Period {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(amount: u64) -> Self {
        Self { amount, unit: TimeUnit::Second }
    }

    /// So many minutes.
    #[must_use]
    pub const fn minutes(amount: u64) -> Self {
        Self { amount, unit: TimeUnit::Minute }
    }

    /// So many days.
    #[must_use]
    pub const fn days(amount: u64) -> Self {
        Self { amount, unit: TimeUnit::Day }
    }

    /// How long it lasts. Saturates at about 584 million years.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.amount.saturating_mul(self.unit.facts().2))
    }

    /// As a sentence says it: `15 minutes`, `1 hour`.
    #[must_use]
    pub fn english(self) -> String {
        let plural = if self.amount == 1 { "" } else { "s" };
        format!("{} {}{plural}", self.amount, self.unit.facts().1)
    }
}

impl FromStr for Period {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (amount, unit) = split(text)?;
        let Some(unit) = TimeUnit::from_text(unit) else {
            return Err(QuantityError::Unit {
                unit: unit.to_owned(),
                what: "time",
                examples: "`500ms`, `30s`, `15m`, `72h`, `30d`, `4w` or `12 months`",
            });
        };
        Ok(Self { amount, unit })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", self.amount, self.unit.facts().0))
    }
}

impl PartialEq for Period {
    fn eq(&self, other: &Self) -> bool {
        self.duration() == other.duration()
    }
}

impl Eq for Period {}

impl PartialOrd for Period {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Period {
    fn cmp(&self, other: &Self) -> Ordering {
        self.duration().cmp(&other.duration())
    }
}

/// An amount of bytes: `512 B`, `16 KiB`, `1 MiB`. Units are IEC binary ones (IEC 80000-13); `KB` and `MB` are refused,
/// because people mean two different things by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Size {
    /// So many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (amount, unit) = split(text)?;
        let Some((_, factor)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(QuantityError::Unit {
                unit: unit.to_owned(),
                what: "size",
                examples: "`512 B`, `16 KiB`, `1 MiB` or `2 GiB`",
            });
        };
        amount.checked_mul(*factor).map(Self).ok_or_else(|| QuantityError::TooLarge(text.to_owned()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = SIZE_UNITS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        let (name, factor) = unit.copied().unwrap_or(("B", 1));
        f.pad(&format!("{} {name}", self.0 / factor))
    }
}

/// So many in a unit of time: `60/min`, `5/s`, `1000/h`.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    count: u64,
    per: RateUnit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RateUnit {
    Second,
    Minute,
    Hour,
    Day,
}

impl RateUnit {
    const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    const fn facts(self) -> (&'static str, &'static str, u64) {
        match self {
            Self::Second => ("s", "second", 1),
            Self::Minute => ("min", "minute", 60),
            Self::Hour => ("h", "hour", 3_600),
            Self::Day => ("d", "day", 86_400),
        }
    }
}

impl Rate {
    /// So many in a minute.
    #[must_use]
    pub const fn per_minute(count: u64) -> Self {
        Self { count, per: RateUnit::Minute }
    }

    /// How many in one of its units of time.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.count
    }

    /// The time between two at this rate. None at all (`0/min`) is the longest time there is.
    #[must_use]
    pub const fn interval(self) -> Duration {
        match (self.per.facts().2 * 1_000_000_000).checked_div(self.count) {
            Some(nanoseconds) => Duration::from_nanos(nanoseconds),
            None => Duration::MAX,
        }
    }

    /// As a sentence says it: `60 requests per minute`.
    #[must_use]
    pub fn english(self) -> String {
        let plural = if self.count == 1 { "" } else { "s" };
        format!("{} request{plural} per {}", self.count, self.per.facts().1)
    }
}

impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (count, unit) = split(text)?;
        let unit = unit.strip_prefix('/').map_or(unit, str::trim_start);
        let per = RateUnit::ALL.into_iter().find(|candidate| {
            let (short, long, _) = candidate.facts();
            unit == short || unit == long
        });
        let Some(per) = per else {
            return Err(QuantityError::Unit {
                unit: unit.to_owned(),
                what: "rate",
                examples: "`5/s`, `60/min`, `1000/h` or `10000/d`",
            });
        };
        Ok(Self { count, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.count, self.per.facts().0))
    }
}

impl PartialEq for Rate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rate {}

impl PartialOrd for Rate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rate {
    /// The higher rate is the greater. Compared as exact fractions: no rounding makes two rates equal.
    fn cmp(&self, other: &Self) -> Ordering {
        let left = u128::from(self.count) * u128::from(other.per.facts().2);
        let right = u128::from(other.count) * u128::from(self.per.facts().2);
        left.cmp(&right)
    }
}

/// Splits `15m` or `12 months` into the number and the unit behind it.
fn split(text: &str) -> Result<(u64, &str), QuantityError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    if number.is_empty() {
        return Err(QuantityError::NoNumber(text.to_owned()));
    }
    let amount = number.parse().map_err(|_| QuantityError::TooLarge(text.to_owned()))?;
    Ok((amount, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn period(text: &str, seconds: u64, english: &str) {
        let period: Period = text.parse().unwrap();
        assert_eq!((period.duration().as_secs(), period.english().as_str()), (seconds, english));
        assert_eq!(period.to_string().parse::<Period>().unwrap(), period, "what is printed reads back");
    }

    #[test]
    fn periods_read_and_speak() {
        period("15m", 900, "15 minutes");
        period("1 hour", 3_600, "1 hour");
        period("72h", 259_200, "72 hours");
        period("12 months", 31_104_000, "12 months");
        period("0s", 0, "0 seconds");
        assert_eq!("60m".parse::<Period>(), "1h".parse());
    }

    #[track_caller]
    fn refused<T: FromStr<Err = QuantityError> + fmt::Debug>(text: &str, message: &str) {
        assert_eq!(text.parse::<T>().unwrap_err().to_string(), message);
    }

    #[test]
    fn faults_say_what_would_be_right() {
        refused::<Period>("fifteen", "`fifteen` does not start with a whole number");
        refused::<Period>("99999999999999999999d", "`99999999999999999999d` is too large");
        refused::<Size>("1 MB", "`MB` is no unit of size; write `512 B`, `16 KiB`, `1 MiB` or `2 GiB`");
        refused::<Rate>("5/fortnight", "`fortnight` is no unit of rate; write `5/s`, `60/min`, `1000/h` or `10000/d`");
        refused::<Size>("99999999999 GiB", "`99999999999 GiB` is too large");
    }

    #[test]
    fn sizes_print_in_the_largest_whole_unit() {
        assert_eq!("1024 KiB".parse::<Size>().unwrap().to_string(), "1 MiB");
        assert_eq!(Size::from_bytes(1_500).to_string(), "1500 B");
        assert_eq!(Size::from_bytes(0).to_string(), "0 B");
    }

    #[test]
    fn rates_compare_exactly_across_units() {
        let (minute, second): (Rate, Rate) = ("60/min".parse().unwrap(), "1/s".parse().unwrap());
        assert_eq!(minute, second);
        assert!("61/min".parse::<Rate>().unwrap() > second);
        assert_eq!(minute.english(), "60 requests per minute");
        assert_eq!("0/s".parse::<Rate>().unwrap().interval(), Duration::MAX);
    }
}
