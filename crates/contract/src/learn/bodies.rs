//! What is kept of bodies, by their kind.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::body::{self, BodyLimits, Media, Part};
use crate::json::{self, Controls};
use crate::parameter::{self, Pairs};

use super::fields::{Fields, list};
use super::shape::Shape;
use super::text::{Text, Written};
use super::word::Discretion;
use super::yaml::{Block, Tree};
use super::{Carried, Left, Room, SURE_MIN, Sample, VALUES_MAX};

/// A body that was read.
pub(super) enum Reading<'s> {
    /// There is none.
    Nothing,
    /// Of this kind, and nothing is known but that.
    Opaque(String),
    Json(String, Value),
    Form(String, Pairs<'s>),
    Parts(String, Vec<Part>),
}

/// Bodies of one kind.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Body {
    count: u64,
    /// At least one was not read, so that nothing can be said of all.
    opaque: bool,
    json: Option<Shape>,
    form: Option<Fields>,
    parts: Option<Parts>,
}

/// The parts of multipart bodies.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Parts {
    count: u64,
    named: BTreeMap<String, PartNotes>,
    /// There were names that are not kept.
    open: bool,
    /// One of those stood twice in a body, which only a schema that knows it can allow.
    blurred: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct PartNotes {
    present: u64,
    many: bool,
    /// How many were files, or bytes that are no text.
    files: u64,
    text: Text,
    json: Option<Shape>,
}

impl<'s> Reading<'s> {
    /// Reads a body as validation will.
    ///
    /// # Errors
    /// [`Left::Unfit`], if validation would refuse it whatever the document says.
    pub(super) fn of(sample: &Sample<'s>) -> Result<Self, Left> {
        let bytes = match sample.body {
            Carried::Nothing => return Ok(Self::Nothing),
            Carried::Whole(bytes) if bytes.is_empty() => return Ok(Self::Nothing),
            Carried::Whole(bytes) => Some(bytes),
            Carried::Unseen => None,
        };
        let stated = sample.content_type.ok_or(Left::Unfit)?;
        let essence = body::essence(stated);
        let media = Media::of(&essence);
        let readable = matches!(media, Media::Json | Media::Form | Media::Multipart);
        if readable && body::is_foreign_charset(stated) {
            return Err(Left::Unfit);
        }
        let Some(bytes) = bytes.filter(|_| readable) else { return Ok(Self::Opaque(essence)) };
        Self::read(stated, essence, media, bytes)
    }

    fn read(stated: &str, essence: String, media: Media, bytes: &'s Bytes) -> Result<Self, Left> {
        match media {
            Media::Json => {
                let value = json::read(bytes, body::json_limits(LIMITS), Controls::Pass).map_err(|_| Left::Unfit)?;
                Ok(Self::Json(essence, value))
            }
            Media::Form => {
                let pairs = parameter::pairs(bytes, VALUES_MAX as usize).map_err(|_| Left::Unfit)?;
                Ok(Self::Form(essence, pairs))
            }
            Media::Multipart => {
                let parts = body::parts(stated, bytes, VALUES_MAX).map_err(|_| Left::Unfit)?;
                let readable = parts.iter().all(|part| {
                    let text = std::str::from_utf8(&part.bytes).is_ok();
                    let json = || json::read(&part.bytes, body::json_limits(LIMITS), Controls::Pass).is_ok();
                    match part.media {
                        Media::Json => json(),
                        Media::Other => true,
                        _ => part.file || text,
                    }
                });
                if readable { Ok(Self::Parts(essence, parts)) } else { Err(Left::Unfit) }
            }
            Media::Text | Media::Other => Ok(Self::Opaque(essence)),
        }
    }
}

/// Takes a body into account.
pub(super) fn see(bodies: &mut BTreeMap<String, Body>, reading: Reading<'_>, discretion: &Discretion, room: &mut Room) {
    let (Reading::Opaque(essence) | Reading::Json(essence, _) | Reading::Form(essence, _) | Reading::Parts(essence, _)) =
        &reading
    else {
        return;
    };
    // A client may call its body whatever it likes.
    let fits = bodies.contains_key(essence)
        || bodies.len() < KINDS_MAX && is_kind(essence) && !(discretion.is_secret)(essence) && room.take();
    let Some(body) = bodies.get_mut(essence) else {
        let kind = if fits { essence.clone() } else { String::from(ANY) };
        let body = bodies.entry(kind).or_default();
        return if fits { body.see(reading, discretion, room) } else { body.see_unread() };
    };
    body.see(reading, discretion, room);
}

/// A media type as they are registered.
fn is_kind(essence: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
    };
    let digits = essence.bytes().filter(u8::is_ascii_digit).count();
    let families = ["application", "text", "image", "audio", "video", "font", "model", "multipart", "message"];
    essence.len() <= KIND_BYTES_MAX
        && digits <= KIND_DIGITS_MAX
        && essence.split_once('/').is_some_and(|(family, rest)| families.contains(&family) && plain(rest))
}

impl Body {
    fn see_unread(&mut self) {
        self.count += 1;
        self.opaque = true;
    }

    fn see(&mut self, reading: Reading<'_>, discretion: &Discretion, room: &mut Room) {
        self.count += 1;
        match reading {
            Reading::Nothing => {}
            Reading::Opaque(_) => self.opaque = true,
            Reading::Json(_, value) => self.json.get_or_insert_default().see(&value, 0, discretion, room),
            Reading::Form(_, pairs) => self.form.get_or_insert_default().see(&pairs, discretion, room),
            Reading::Parts(_, parts) => self.parts.get_or_insert_default().see(&parts, discretion, room),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.opaque |= other.opaque;
        if let Some(json) = other.json {
            self.json.get_or_insert_default().merge(json);
        }
        if let Some(form) = other.form {
            self.form.get_or_insert_default().merge(form);
        }
        if let Some(parts) = other.parts {
            self.parts.get_or_insert_default().merge(parts);
        }
    }

    pub(super) fn size(&self) -> usize {
        let parts = self.parts.as_ref().map_or(0, |parts| {
            let json = parts.named.values().filter_map(|part| part.json.as_ref()).map(Shape::size).sum::<usize>();
            parts.named.len() + json
        });
        1 + self.json.as_ref().map_or(0, Shape::size) + self.form.as_ref().map_or(0, Fields::size) + parts
    }

    /// What the document says of this kind.
    pub(super) fn media(&self) -> Block {
        let mut media = Block::default();
        let schema = match (&self.json, &self.form, &self.parts) {
            _ if self.opaque => return media,
            (Some(json), _, _) => json.schema(),
            (_, Some(form), _) => form.schema(),
            (_, _, Some(parts)) if !parts.blurred => parts.schema(),
            (None, None, _) => return media,
        };
        media.put("schema", schema);
        media
    }
}

/// Takes together what is known of two operations' bodies.
pub(super) fn merge(bodies: &mut BTreeMap<String, Body>, other: BTreeMap<String, Body>) {
    for (kind, body) in other {
        bodies.entry(kind).or_default().merge(body);
    }
    while bodies.len() > KINDS_MAX + 1 {
        let Some(last) = bodies.keys().rfind(|kind| *kind != ANY).cloned() else { return };
        let gone = bodies.remove(&last).map_or(0, |body| body.count);
        let any = bodies.entry(String::from(ANY)).or_default();
        any.count += gone;
        any.opaque = true;
    }
}

impl Parts {
    fn see(&mut self, parts: &[Part], discretion: &Discretion, room: &mut Room) {
        self.count += 1;
        let mut times: BTreeMap<&str, u64> = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for part in parts {
            let new = !self.named.contains_key(&part.name);
            let full = self.named.len() == PARTS_MAX;
            if new && (full || !discretion.is_name(&part.name) || !room.take()) {
                self.open = true;
                self.blurred |= !unknown.insert(&part.name);
                continue;
            }
            *times.entry(&part.name).or_default() += 1;
            self.named.entry(part.name.clone()).or_default().see(part, discretion, room);
        }
        for (name, times) in times {
            if let Some(part) = self.named.get_mut(name) {
                part.present += 1;
                part.many |= times > 1;
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.open |= other.open;
        self.blurred |= other.blurred;
        for (name, part) in other.named {
            let own = self.named.entry(name).or_default();
            own.present += part.present;
            own.many |= part.many;
            own.files += part.files;
            own.text.merge(&part.text);
            if let Some(json) = part.json {
                own.json.get_or_insert_default().merge(json);
            }
        }
        while self.named.len() > PARTS_MAX {
            let gone = self.named.pop_last();
            self.open = true;
            self.blurred |= gone.is_some_and(|(_, part)| part.many);
        }
    }

    fn schema(&self) -> Block {
        let mut block = Block::default();
        block.put("type", "object");
        let always = |part: &PartNotes| part.present == self.count && self.count >= SURE_MIN;
        let required: Vec<Tree> =
            self.named.iter().filter(|(_, part)| always(part)).map(|(name, _)| name.as_str().into()).collect();
        if !required.is_empty() {
            block.put("required", required);
        }
        let mut properties = Block::default();
        for (name, part) in &self.named {
            let one = part.schema();
            properties.put(name.as_str(), if part.many { list(one) } else { one });
        }
        if !properties.is_empty() {
            block.put("properties", properties);
        }
        if self.open {
            block.note("uncertain: names that look like values, so that any name passes");
        }
        block.put("additionalProperties", self.open);
        block
    }
}

impl PartNotes {
    fn see(&mut self, part: &Part, discretion: &Discretion, room: &mut Room) {
        if part.media == Media::Json {
            if let Ok(value) = json::read(&part.bytes, body::json_limits(LIMITS), Controls::Pass) {
                self.json.get_or_insert_default().see(&value, 0, discretion, room);
            }
            return;
        }
        match std::str::from_utf8(&part.bytes) {
            Ok(text) if !part.file => self.text.see(text),
            _ => self.files += 1,
        }
    }

    fn schema(&self) -> Block {
        match &self.json {
            Some(json) if self.text.count == 0 && self.files == 0 => json.schema(),
            Some(_) => Block::default(),
            None if self.files == 0 => self.text.schema(Written::Plainly),
            None => {
                let mut block = Block::default();
                block.put("type", "string");
                if self.text.count == 0 {
                    block.put("contentMediaType", "application/octet-stream");
                }
                block
            }
        }
    }
}

/// Any kind of body.
const ANY: &str = "*/*";
/// Kinds of body that are kept apart, for one operation.
const KINDS_MAX: usize = 8;
const KIND_BYTES_MAX: usize = 80;
const KIND_DIGITS_MAX: usize = 4;
const PARTS_MAX: usize = 100;
const LIMITS: BodyLimits = BodyLimits { depth_max: 64, values_max: VALUES_MAX };
