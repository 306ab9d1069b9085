//! What runs inside the server, each script in one step. They need Redis 5 or later, or Valkey.

/// Counts one request against the limits of its subjects (GCRA), in their order, up to the first that refuses it.
///
/// `KEYS`: one for each limit. `ARGV`: for each of them the interval, the tolerance, and how far ahead of its rate the
/// subject is as the caller knows, in microseconds. A key holds the time until which the subject's requests are paid
/// for, by the server's clock, and goes when that is past.
///
/// Returns how many keys held something that no count can be, and for each limit how far ahead the subject is then; for
/// the one that refuses, the same below zero. A refused subject is ahead of its rate, so that is never zero.
pub(super) const COUNT: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local told = { 0 }
for number = 1, #KEYS do
    local interval = tonumber(ARGV[number * 3 - 2])
    local tolerance = tonumber(ARGV[number * 3 - 1])
    local most = now + interval + tolerance
    local paid = math.min(now + tonumber(ARGV[number * 3]), most)
    local stale = paid > now
    local held = redis.pcall('GET', KEYS[number])
    if held then
        local value = type(held) == 'string' and string.match(held, '^%d+$') and tonumber(held)
        if not value or value > most then
            told[1] = told[1] + 1
            stale = true
            if value then paid = most end
        elseif value >= paid then
            paid = value
            stale = false
        end
    end
    local ahead = paid - now
    local passes = ahead <= tolerance
    if passes then
        paid = math.max(paid, now) + interval
        ahead = paid - now
    end
    if passes or stale then
        redis.call('SET', KEYS[number], string.format('%.0f', paid), 'PX', math.ceil((paid - now) / 1000))
    end
    told[number + 1] = passes and ahead or -ahead
    if not passes then
        break
    end
end
return told";

/// Says that a node is there, and asks for what it should know.
///
/// `KEYS`: the set of nodes, the name of the server's memory. `ARGV`: the node, after how many milliseconds one is gone,
/// a name for a memory that has none. Returns how many nodes there are, the memory's name, and how many keys held what
/// they should not.
pub(super) const BEAT: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local damaged = 0
for number, kind in ipairs({ 'zset', 'string' }) do
    local found = redis.call('TYPE', KEYS[number]).ok
    if found ~= kind and found ~= 'none' then
        redis.call('DEL', KEYS[number])
        damaged = damaged + 1
    end
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + ARGV[2], '+inf')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local memory = redis.call('GET', KEYS[2])
if not memory then
    memory = ARGV[3]
    redis.call('SET', KEYS[2], memory)
end
return { redis.call('ZCARD', KEYS[1]), memory, damaged }";
