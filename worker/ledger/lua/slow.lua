-- The broker complained about the pace: halve the account's rate for every process, not below a sixteenth.
--
-- KEYS[1]  what slows the account: factor, since            hash
-- Answers the factor in percent. Complaints within half a second count once: they answer the same burst.
local slow, now = KEYS[1], now_us()
local factor, since = unpack(redis.call('HMGET', slow, 'factor', 'since'))
local current = share_of_rate(factor, since, now)
if since and now - since < 500000 then return math.floor(current * 100) end
current = math.max(current / 2, 0.0625)
redis.call('HSET', slow, 'factor', current, 'since', string.format('%d', now))
redis.call('EXPIRE', slow, 60)
return math.floor(current * 100)
