-- Let an account send, never more than its rate in any rolling second, all processes together.
--
-- KEYS[1]  when the account sent: the newest first, us      list
-- KEYS[2]  a risk cancel waits somewhere                    string
-- KEYS[3]  what slows the account: factor, since            hash
-- ARGV[1]  how many sends are wanted
-- ARGV[2]  the account's rate, sends per second
-- ARGV[3]  risk or routine
--
-- Answers {granted, us until it is worth asking again}.
-- A window alone would let a routine bulk spend a whole second's sends at once and keep a risk cancel waiting for the next
-- second, so routine sends are spaced evenly and only risk sends may follow each other at once. Both are a little longer
-- than they need be: a send that the network delays and a next one that it does not must not meet in one second.
local sends, risk_waits, slow = unpack(KEYS)
local wanted, is_risk = tonumber(ARGV[1]), ARGV[3] == 'risk'
local now = now_us()
-- Multiplicative decrease when the broker complained, additive increase since.
local factor, since = unpack(redis.call('HMGET', slow, 'factor', 'since'))
local rate = tonumber(ARGV[2]) * share_of_rate(factor, since, now)
local most = math.max(1, math.floor(rate))
-- Never shorter than a second: of a rate of 2.5 two sends are granted in a second, not four in two windows of 0.8.
local window = math.max(1, most / rate) * 1030000
local interval = 1030000 / rate
local granted, wait = 0, 0
-- A clock that stepped back costs a second, not the step: what was granted in its future was granted just now.
local latest = redis.call('LINDEX', sends, 0)
if latest and tonumber(latest) > now + window then
  for at = 0, redis.call('LLEN', sends) - 1 do redis.call('LSET', sends, at, string.format('%d', now)) end
  redis.call('EXPIRE', sends, math.ceil(window / 1000000) + 2)
end
if not is_risk and redis.call('EXISTS', risk_waits) == 1 then return {0, interval} end
while granted < wanted do
  local newest, oldest = redis.call('LINDEX', sends, 0), redis.call('LINDEX', sends, most - 1)
  wait = oldest and oldest + window - now or 0
  local slot = now
  if not is_risk and newest then
    -- A slot taken a little late does not push the next one back.
    wait = math.max(wait, newest + interval - now)
    slot = math.max(newest + interval, now - 10000)
  end
  if wait > 0 then break end
  redis.call('LPUSH', sends, string.format('%d', slot))
  granted = granted + 1
end
if granted > 0 then
  redis.call('LTRIM', sends, 0, most - 1)
  redis.call('EXPIRE', sends, math.ceil(window / 1000000) + 2)
end
if is_risk then
  if granted < wanted then
    redis.call('SET', risk_waits, 1, 'PX', math.ceil(wait / 1000) + 200)
  else
    redis.call('DEL', risk_waits)
  end
end
return {granted, math.ceil(math.max(wait, 0))}
