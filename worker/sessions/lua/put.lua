-- Keep a new session, unless a newer one is there or too many addresses have one.
--
-- KEYS[1]  the account's sessions, by egress address        hash
-- KEYS[2]  what is known of the account's logins            hash
-- KEYS[3]  accounts by when they last got a session, ms     sorted set
-- KEYS[4]  egress addresses (score: last seen, ms)          sorted set
-- ARGV[1]  the fence of the login that made it
-- ARGV[2]  the egress address that it works from, '-' where it is not known
-- ARGV[3]  the session's text: fence made_ms expires_ms maker sealed
-- ARGV[4]  when it ends, ms
-- ARGV[5]  the fingerprint of the credentials, which are right, whatever becomes of the session
-- ARGV[6]  the account
-- ARGV[7]  an address that was not seen for so long has no worker any more, ms
-- ARGV[8]  how many addresses may have a session at once
--
-- Answers {'kept'}, {'older'} or {'full', address...}. A process that slept since its login has a lower fence than the one that
-- logged in meanwhile. Asked twice with the same fence, the answer is the same.
local sessions, login, changes, places = unpack(KEYS)
local fence, place, ends, now = ARGV[1], ARGV[2], tonumber(ARGV[4]), now_ms()
redis.call('HDEL', login, 'failures', 'pause', 'paused', 'trouble:' .. ARGV[5], 'wrong:' .. ARGV[5])
if redis.call('HGET', login, 'fence') == fence then redis.call('HSET', login, 'until', 0) end

local living, left, answer, last = {}, {}, {'full'}, ends
local all = redis.call('HGETALL', sessions)
for i = 1, #all, 2 do
  local made, over = string.match(all[i + 1], '^(%d+) %d+ (%d+) ')
  if not over or tonumber(over) <= now then
    redis.call('HDEL', sessions, all[i])
  elseif all[i] == place then
    if tonumber(made) > tonumber(fence) then return {'older'} end
  elseif now - tonumber(redis.call('ZSCORE', places, all[i]) or '0') < tonumber(ARGV[7]) then
    living[#living + 1] = all[i]
    answer[#answer + 1] = all[i]
    last = math.max(last, tonumber(over))
  else
    left[#left + 1] = all[i]
  end
end
if #living >= tonumber(ARGV[8]) then return answer end
-- No worker is seen at these addresses any more: a machine that got another address must not use up its own places.
if #living + #left >= tonumber(ARGV[8]) then redis.call('HDEL', sessions, unpack(left)) end
redis.call('HSET', sessions, place, ARGV[3])
redis.call('PEXPIREAT', sessions, string.format('%d', math.max(last, now) + 60000))
redis.call('ZADD', changes, now, ARGV[6])
redis.call('ZREMRANGEBYSCORE', changes, '-inf', now - 172800000)
redis.call('EXPIRE', changes, 172800)
redis.call('ZADD', places, now, place)
redis.call('EXPIRE', places, 86400)
return {'kept'}
