-- Note that an attempt to log in begins: the next one must keep its distance to this moment, whatever becomes of this one.
--
-- KEYS[1]  what is known of the account's logins            hash
-- ARGV[1]  the attempt's fence
-- ARGV[2]  for how long it holds the lease from now on, ms
--
-- Answers 1, or 0 where a newer attempt has been let in: then this one must not log in. A second call with the same fence changes
-- nothing.
local login, fence = KEYS[1], ARGV[1]
local newest, open = unpack(redis.call('HMGET', login, 'fence', 'open'))
if newest ~= fence then return 0 end
if open == fence then return 1 end
local now = now_ms()
redis.call('HSET', login, 'open', fence, 'begun', string.format('%d', now), 'until', string.format('%d', now + ARGV[2]))
return 1
