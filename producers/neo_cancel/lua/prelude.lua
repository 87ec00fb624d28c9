-- What the scripts share. neo_cancel/scripts.py puts it in front of each of them, behind what it writes from Python: the
-- sets of statuses DEAD, HARMLESS, WORKING and WATCHABLE, and HANDS_SECONDS.
--
-- A record is "status fence owner accepted_ms maybe_sent crashes {document}". The owner is '-' where no worker holds the order.
-- KEYS name every key that a script knows beforehand. Of keys that it finds out about, ARGV has what stands in front of the name.

-- For how long a fresh backlog is left to the worker that its message wakes, ms.
local UNATTENDED_MS = 3000

-- The server's clock in microseconds.
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- The server's clock in milliseconds.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Take a record apart: its six words and its document; nothing without a record, or where its beginning or its end is none.
local function parse(record)
  return string.match(record or '', '^([%l_]+) (%d+) (%S+) (%d+) (%d) (%d+) ({.*})$')
end

-- Take only the first three words off a record, which is quicker: status, fence, owner and the rest; nothing without a record.
local function split(record)
  return string.match(record or '', '^(%S+) (%d+) (%S+) (.*)$')
end

-- Read a record's document; one that is no JSON object is empty.
local function read_document(text)
  local is_json, document = pcall(cjson.decode, text)
  return is_json and type(document) == 'table' and document or {}
end

-- Write a record for a worker that takes the order: every claim raises the fence.
local function claimed(status, fence, worker, rest)
  return status .. ' ' .. (fence + 1) .. ' ' .. worker .. ' ' .. rest
end

-- A worker without a lease takes nothing: its lease ran out, and no recovery would miss what it took.
local function has_lease(workers, worker)
  return tonumber(redis.call('ZSCORE', workers, worker) or '0') ~= 0
end

-- Two deaths point at such an order. It comes back alone, and is a suspect only when its turn has come.
local function is_doubted(crashes)
  return crashes ~= '0' and crashes ~= '1'
end

-- Remember what a worker took: these orders are the suspects if it dies now.
local function mark_suspects(taken, names)
  if #names > 0 then
    redis.call('RPUSH', taken, unpack(names))
    redis.call('EXPIRE', taken, HANDS_SECONDS)
  end
end

-- Let orders wait in no queue any more.
local function leave_queues(risk_queued, routine_queued, names)
  redis.call('ZREM', risk_queued, unpack(names))
  redis.call('ZREM', routine_queued, unpack(names))
end

-- Put claimed orders into a worker's hands. One that was asked for again with more urgency waits in a queue and in a backlog.
local function take_up(held, taken, risk_queued, routine_queued, names, suspects)
  if #names > 0 then
    redis.call('SADD', held, unpack(names))
    leave_queues(risk_queued, routine_queued, names)
  end
  mark_suspects(taken, suspects)
end

-- Tell whether the trading day has ended of an order that was accepted then, ms: at midnight in India, and what was accepted after 16:00
-- belongs to the next day. The same rule as in worker/orders/trading_day.py. Order numbers are given out again: no proof outlives it.
local function is_day_over(accepted, now)
  return now > (math.floor((accepted + 48600000) / 86400000) + 1) * 86400000 - 19800000
end

-- Which share of its rate an account may use: a tenth more every second since the broker complained, 1 without a complaint.
local function share_of_rate(factor, since, now)
  return factor and math.min(1, factor + math.max(0, now - since) / 10000000) or 1
end

-- Read what an account sent lately and what holds it back; nil stands for nothing. The text is "factor since paused_from paused_until
-- risk_until send ...", all times in us: the share of the rate after a complaint, `-` for all of it, and when that was; from when until
-- when the broker wants nothing; until when a risk cancel may be waiting; and the sends, the oldest first.
-- `step`: how far the clock has stepped since the asker learned of it; the first who asks moves everything on by a step forward.
-- One that stepped back costs a second, not the step: what seems to lie in the future, further than `ahead`, was just now.
local function pace_of(text, now, step, ahead)
  local back = math.min(step, 0)
  step = math.max(step, 0)
  local pace = {since = 0, from = 0, paused = 0, risk = 0, sends = {}, has_moved = step > 0}
  if not text then return pace end
  local factor, since, from, paused, risk, sends = string.match(text, '^(%S+) (%d+) (%d+) (%d+) (%d+)(.*)$')
  pace.factor, pace.since = tonumber(factor), math.min(since + step, now)
  pace.from, pace.paused, pace.risk = from + step, paused + step, risk + step
  for send in string.gmatch(sends, '%d+') do
    local at = send + step
    if at > now + ahead then at, pace.has_moved, pace.risk = now, true, 0 end
    pace.sends[#pace.sends + 1] = at
  end
  if pace.from > now then
    back = math.min(back, now - pace.from)
    pace.from, pace.paused, pace.has_moved = pace.from + back, pace.paused + back, true
  end
  return pace
end

-- Keep it for as long as it matters: of the sends the last `most`, and those of the last second. `longest`: the seconds between two sends.
local function keep_pace(key, pace, now, most, longest)
  local sends, first = pace.sends, 1
  while #sends - first + 1 > most and sends[first] < now - 1100000 do first = first + 1 end
  local last = math.max(now + longest * 2200000, pace.paused, pace.factor and now + 10000000 or 0)
  local words = {pace.factor or '-'}
  for i, at in ipairs({pace.since, pace.from, pace.paused, pace.risk}) do words[i + 1] = string.format('%d', math.floor(at)) end
  for i = first, #sends do words[#words + 1] = string.format('%d', math.floor(sends[i])) end
  redis.call('SET', key, table.concat(words, ' '), 'PX', math.ceil((last - now) / 1000))
end

-- Tell the worker that holds an order that more was asked for: its name alone says risk, "name lane until_ms" both.
local function tell(urgent, news)
  redis.call('RPUSH', urgent, news)
  redis.call('EXPIRE', urgent, HANDS_SECONDS)
end

-- What stands at a record's end once more was asked for while it was worked on. No other text can look like it: in a JSON string
-- quotation marks have a backslash before them.
local ASKED = ', "asked": {'

-- Write into a record, at its end, the lane and until when, ms, it was asked for meanwhile; neo_cancel/record.py reads it.
local function with_more(record, more)
  local at = string.find(record, ASKED, 1, true)
  local before = at and string.sub(record, 1, at - 1) or string.sub(record, 1, -2)
  return string.format('%s%s"lane": "%s", "until_ms": %d}}', before, ASKED, more.lane, more.until_ms)
end

-- Tell until when, ms, an order was asked for, which was accepted then.
local function known_until(document, accepted)
  local at = accepted + (tonumber(document.deadline_seconds) or 0) * 1000
  local asked = type(document.asked) == 'table' and tonumber(document.asked.until_ms) or 0
  return math.max(at, asked)
end

-- Tell whether two requests for one order say different things of it. What one does not name is no contradiction.
local function contradicts(one, other)
  for _, field in ipairs({'variety', 'trading_symbol'}) do
    if one[field] and other[field] and one[field] ~= other[field] then return true end
  end
  return (one.amo or false) ~= (other.amo or false)
end
