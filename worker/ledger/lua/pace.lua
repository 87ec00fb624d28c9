-- Let accounts send, none more than its rate in any rolling second, all processes together.
--
-- KEYS[i]  what an account sent lately, and what holds it back    string, see pace_of in the prelude
-- ARGV[1]  how far ahead of its time a send may be granted, us
-- ARGV[2]  the server's clock as the asker knows it, us; 0 where it does not
-- then for each account: how many sends are wanted, its rate in sends per second, risk or routine
--
-- Answers the server's clock in us, and for each account {us until it is worth asking again, the times of its sends in us ...}.
-- A window alone would let a routine bulk spend a whole second's sends at once and keep a risk cancel waiting for the next
-- second, so routine sends are spaced evenly and only risk sends may follow each other at once. Both are a little longer
-- than they need be: a send that the network delays and a next one that it does not must not meet in one second.
local STEP_US, LATE_US = 30000, 10000
local ahead, known = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = now_us()
-- A clock that stepped forward makes all that was sent look older than it is. It is moved along, whoever sent it.
local step = known > 0 and now - known or 0
if math.abs(step) < STEP_US then step = 0 end

local function grant(pace, wanted, rate, is_risk)
  rate = rate * share_of_rate(pace.factor, pace.since, now)
  local most = math.max(1, math.floor(rate))
  -- Never shorter than a second: of a rate of 2.5 two sends are granted in a second, not four in two windows of 0.8.
  local window = math.max(1, most / rate) * 1030000
  local interval = 1030000 / rate
  local sends, granted, wait = pace.sends, {}, 0
  if pace.paused > now then return granted, pace.paused - now end
  if not is_risk and pace.risk > now then return granted, interval end
  while #granted < wanted do
    local newest, oldest = sends[#sends], sends[#sends - most + 1]
    local at = math.max(now, oldest and oldest + window or 0)
    local slot = at
    if not is_risk and newest then
      at = math.max(at, newest + interval)
      -- A send that is a little late does not push the next one back.
      slot = math.max(newest + interval, at - LATE_US)
    end
    wait = at - now
    if wait > ahead then break end
    sends[#sends + 1] = slot
    granted[#granted + 1] = string.format('%d', at)
  end
  if is_risk then pace.risk = #granted < wanted and now + wait + 200000 or 0 end
  return granted, #granted < wanted and wait or 0
end

local answer, kept = {string.format('%d', now)}, #KEYS > 0 and redis.call('MGET', unpack(KEYS)) or {}
for i, key in ipairs(KEYS) do
  local wanted, rate, is_risk = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1]), ARGV[3 * i + 2] == 'risk'
  local pace = pace_of(kept[i], now, step, ahead)
  local risk = pace.risk
  local granted, wait = grant(pace, wanted, rate, is_risk)
  if #granted > 0 or pace.risk ~= risk or pace.has_moved then
    -- As many sends as a window may hold, and what the next rate may need.
    keep_pace(key, pace, now, math.max(1, math.floor(rate)), 1 / math.min(rate, 1))
  end
  table.insert(granted, 1, string.format('%d', math.ceil(math.max(wait, 0))))
  answer[i + 1] = granted
end
return answer
