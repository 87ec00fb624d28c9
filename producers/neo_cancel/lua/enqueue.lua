-- Accept orders of one lane: records, queue entries, backlogs and message in one step.
--
-- KEYS[1]  queue list of the lane, read by Celery           list
-- KEYS[2]  orders that wait in that queue (score: the message's time, ms)   sorted set
-- KEYS[3]  members of the batch, or '' for none             list
-- KEYS[4]  the backlogs (score: when another worker takes it over, ms)   sorted set
-- KEYS[5]  the watch list (score: next look, ms)            sorted set
-- KEYS[6...]  the accounts' backlogs, where orders wait instead of in the queue   lists
-- then     the orders' records                              string
-- ARGV[1]  time to live of a record and a batch, seconds
-- ARGV[2], ARGV[3]  the message, to be joined by the server's time in ms; it names the accounts with backlogs
-- ARGV[4]  this lane's name
-- ARGV[5]  what a record's key has in front of the order's name
-- ARGV[6]  what the key of a worker's urgent orders has in front of its id
-- ARGV[7]  how many orders are in the message: the first ones
-- ARGV[8]  how many backlogs there are
-- ARGV[9...]  for each backlog, how many of the next orders go there; then the orders' documents (JSON), one per record
--
-- Answers one number an order: 0 accepted, 1 attached to work under way, 2 dead already, which holds for a trading day, 3 attached to
-- work under way whose variety, AMO flag or symbol this request contradicts: the order book settles that.
-- What is attached may ask for more: the record takes the more urgent lane and the later deadline, and whoever holds it is told.
-- On a later day the number may be another order's: its record begins anew and keeps nothing but the fence, which tells old writers.
-- A record that cannot be read is one of no use: the order is accepted anew, as one that may have been sent, with a fence above all
-- that workers have. A record lives as long as the most patient of those who asked wants.
local queue, queued, batch, backlogs, watch_list = unpack(KEYS, 1, 5)
local ttl, lane, in_message, backlog_count = ARGV[1], ARGV[4], tonumber(ARGV[7]), tonumber(ARGV[8])
local first_record, first_document, name_at = 6 + backlog_count, 9 + backlog_count, #ARGV[5] + 1
local now = now_ms()

-- Say what a request asks for beyond what is known of an order: the lane and until when, ms; nil for nothing.
local function more_than(known, asked, accepted, now)
  local until_known, until_asked = known_until(known, accepted), now + (tonumber(asked.deadline_seconds) or 0) * 1000
  local is_urgent = known.lane == 'risk' or type(known.asked) == 'table' and known.asked.lane == 'risk'
  local is_more_urgent = lane == 'risk' and not is_urgent
  if not is_more_urgent and until_asked <= until_known then return nil end
  return {lane = (is_urgent or is_more_urgent) and 'risk' or lane, until_ms = math.max(until_known, until_asked), is_risk = is_more_urgent}
end

-- Tell for how long a record must live, seconds: what is there already is not shortened.
local function lifetime(key, is_known)
  return is_known and math.max(ttl, redis.call('TTL', key)) or ttl
end

-- Each order's place: 0 in the message, else the number of its backlog.
local places, last = {}, in_message
for backlog = 1, backlog_count do
  for i = last + 1, last + ARGV[8 + backlog] do places[i] = backlog end
  last = last + ARGV[8 + backlog]
end

-- All is read and judged before anything is written.
local answers, steps, members, is_there = {}, {}, {}, {}
for i, old in ipairs(redis.call('MGET', unpack(KEYS, first_record))) do
  local document = ARGV[first_document + i - 1]
  local status, fence, owner, accepted, sent, _, before = parse(old)
  local is_old = status and is_day_over(accepted, now)
  members[i] = string.sub(KEYS[first_record + i - 1], name_at)
  answers[i], is_there[i] = 0, old
  if not status then
    steps[i] = (old and 'queued ' .. now .. ' - ' .. now .. ' 1 0 ' or 'queued 0 - ' .. now .. ' 0 0 ') .. document
  elseif DEAD[status] and not is_old then
    answers[i] = 2
  elseif WORKING[status] and not (is_old and owner == '-') then
    local known, asked = read_document(before), read_document(document)
    answers[i] = contradicts(asked, known) and 3 or 1
    local more = more_than(known, asked, accepted, now)
    if more then steps[i] = {owner = owner, more = more, record = with_more(old, more)} end
  else
    -- Ended, but the order may still work: a new job, which knows that a cancel may have been sent before on this day.
    if is_old then sent = '0' end
    local first = not is_old and tonumber(read_document(before).first_sent_at)
    if first then document = string.sub(document, 1, -2) .. ', "first_sent_at": ' .. first .. '}' end
    steps[i] = 'queued ' .. fence .. ' - ' .. now .. ' ' .. sent .. ' 0 ' .. document
  end
end

local waiting, fresh, filled, wakes = {}, {}, {}, false
for i, name in ipairs(members) do
  local step, place, key = steps[i], places[i], KEYS[first_record + i - 1]
  local lives = lifetime(key, is_there[i])
  if type(step) == 'string' then
    redis.call('SET', key, step, 'EX', lives)
    fresh[#fresh + 1] = name
  elseif type(step) == 'table' then
    redis.call('SET', key, step.record, 'EX', lives)
  else
    redis.call('EXPIRE', key, lives)
  end
  if type(step) == 'table' then
    if step.owner ~= '-' then
      tell(ARGV[6] .. step.owner, string.format('%s %s %d', name, step.more.lane, step.more.until_ms))
    end
    -- With more urgency it goes to the faster lane, too, and the worker that takes it first works on it.
    step = step.more.is_risk and (step.owner == '-' or not place)
  end
  if step and place then
    filled[place] = filled[place] or {}
    table.insert(filled[place], name)
  elseif step then
    wakes = true
    if type(step) == 'string' then
      waiting[#waiting + 1] = now
      waiting[#waiting + 1] = name
    end
  end
end
if #fresh > 0 then redis.call('ZREM', watch_list, unpack(fresh)) end
if #waiting > 0 then redis.call('ZADD', queued, unpack(waiting)) end
for place, names in pairs(filled) do
  -- A worker looks into a backlog that is there already; into an empty one none does.
  if #names > 0 then
    redis.call('RPUSH', KEYS[5 + place], unpack(names))
    if redis.call('ZADD', backlogs, 'NX', now + UNATTENDED_MS, KEYS[5 + place]) == 1 then wakes = true end
  end
end
if wakes then redis.call('LPUSH', queue, ARGV[2] .. now .. ARGV[3]) end
if batch ~= '' then
  redis.call('RPUSH', batch, unpack(members))
  redis.call('EXPIRE', batch, ttl)
end
return answers
