-- Reserve the next time at which an account's book may be read, all processes together.
--
-- KEYS[1]  the first time that is free, us                  string
-- ARGV[1]  reads per second
--
-- Answers us until the reserved time. Reads are a little further apart than they need be: one that the network delays and a
-- next one that it does not must not meet in one second. A clock that stepped back costs a second, not the step.
local free = KEYS[1]
local now, interval = now_us(), 1100000 / tonumber(ARGV[1])
local at = tonumber(redis.call('GET', free) or '0')
if at < now or at > now + 20 * interval then at = now end
redis.call('SET', free, string.format('%d', at + interval), 'PX', math.ceil((at + interval - now) / 1000) + 1000)
return math.ceil(at - now)
