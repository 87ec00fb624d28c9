-- Note that an attempt to log in failed.
--
-- KEYS[1]  what is known of the account's logins            hash
-- ARGV[1]  the attempt's fence
-- ARGV[2]  the fingerprint of its credentials
-- ARGV[3]  what went wrong, a word
-- ARGV[4]  1 where the credentials were wrong
-- ARGV[5], ARGV[6]  the first pause and the longest one, ms; each failure doubles it
--
-- Answers {failures, wrong, pause_ms}: how often it failed since the last session, how often these credentials were wrong, and
-- how long no other attempt is made. Asked twice with the same fence, it counts once.
local login, fence, fingerprint = KEYS[1], ARGV[1], ARGV[2]
local newest, failed, failures, paused, wrong = unpack(redis.call('HMGET', login,
  'fence', 'failed', 'failures', 'paused', 'wrong:' .. fingerprint))
failures, wrong = tonumber(failures or '0'), tonumber(wrong or '0')
if paused ~= fingerprint then failures = 0 end
if failed ~= fence then
  failures, wrong = failures + 1, wrong + tonumber(ARGV[4])
  redis.call('HSET', login, 'failed', fence, 'failures', failures, 'wrong:' .. fingerprint, wrong, 'trouble:' .. fingerprint, ARGV[3])
end
local pause = math.min(ARGV[5] * 2 ^ math.min(failures - 1, 20), tonumber(ARGV[6]))
redis.call('HSET', login, 'paused', fingerprint, 'pause', string.format('%d', now_ms() + pause))
if newest == fence then redis.call('HSET', login, 'until', 0) end
redis.call('EXPIRE', login, 2592000)
return {failures, wrong, math.floor(pause)}
