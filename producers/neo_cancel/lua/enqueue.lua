-- Accept orders of one account: records, queue entry and message in one step.
--
-- KEYS[1]  queue list of the lane, read by Celery           list
-- KEYS[2]  orders that wait in that queue (score: the message's time, ms)   sorted set
-- KEYS[3]  members of the batch, or '' for none             list
-- KEYS[4]  the account's backlog, where the orders wait instead of in the queue, or ''   list
-- KEYS[5]  the backlogs (score: when another worker takes it over, ms)   sorted set
-- KEYS[6]  the watch list (score: next look, ms)            sorted set
-- KEYS[7...]  the orders' records                           string
-- ARGV[1]  time to live of a record and a batch, seconds
-- ARGV[2], ARGV[3]  the message, to be joined by the server's time in ms; for a backlog it only wakes a worker
-- ARGV[4]  this lane's name
-- ARGV[5]  what a record's key has in front of the order's name
-- ARGV[6]  what the key of a worker's urgent orders has in front of its id
-- ARGV[7...]  the orders' documents (JSON), one per record
--
-- Answers one number an order: 0 accepted, 1 attached to work under way, 2 dead already, which holds for a trading day.
-- On a later day the number may be another order's: its record begins anew and keeps nothing but the fence, which tells old writers.
local queue, queued, batch, backlog, backlogs, watch_list = unpack(KEYS, 1, 6)
local ttl, lane = ARGV[1], ARGV[4]
local name_at, to_backlog = #ARGV[5] + 1, backlog ~= ''
local now = now_ms()
local answers, waiting, members, wakes = {}, {}, {}, false

for i = 7, #KEYS do
  local document = ARGV[i]
  local old = redis.call('SET', KEYS[i], 'queued 0 - ' .. now .. ' 0 0 ' .. document, 'NX', 'GET', 'EX', ttl)
  local name = string.sub(KEYS[i], name_at)
  members[#members + 1] = name
  answers[i - 6] = 0
  if not old then
    wakes = true
    waiting[#waiting + 1] = now
    waiting[#waiting + 1] = name
  else
    local status, fence, owner, accepted, sent, _, before = parse(old)
    local is_old = is_day_over(accepted, now)
    if DEAD[status] and not is_old then
      answers[i - 6] = 2
    elseif WORKING[status] and not (is_old and owner == '-') then
      answers[i - 6] = 1
      -- Asked for again with more urgency: it goes to the faster lane, too, and the worker that takes it first works on it.
      if lane == 'risk' and cjson.decode(before).lane ~= 'risk' then
        wakes = true
        if to_backlog and owner == '-' then
          redis.call('RPUSH', backlog, name)
        elseif to_backlog then
          escalate(ARGV[6] .. owner, name)
        end
      end
    else
      -- Ended, but the order may still work: a new job, which knows that a cancel may have been sent before on this day.
      if is_old then sent = '0' end
      local first = not is_old and cjson.decode(before).first_sent_at
      if first then document = string.sub(document, 1, -2) .. ', "first_sent_at": ' .. first .. '}' end
      redis.call('SET', KEYS[i], 'queued ' .. fence .. ' - ' .. now .. ' ' .. sent .. ' 0 ' .. document, 'EX', ttl)
      redis.call('ZREM', watch_list, name)
      wakes = true
      waiting[#waiting + 1] = now
      waiting[#waiting + 1] = name
    end
  end
end

if to_backlog then
  -- A worker looks into a backlog that is there already; into an empty one none does.
  wakes = wakes and redis.call('ZSCORE', backlogs, backlog) == false
  for i = 2, #waiting, 2 do redis.call('RPUSH', backlog, waiting[i]) end
  if redis.call('EXISTS', backlog) == 1 then
    redis.call('EXPIRE', backlog, ttl)
    redis.call('ZADD', backlogs, 'NX', now + UNATTENDED_MS, backlog)
  end
elseif #waiting > 0 then
  redis.call('ZADD', queued, unpack(waiting))
end
if wakes then redis.call('LPUSH', queue, ARGV[2] .. now .. ARGV[3]) end
if batch ~= '' then
  redis.call('RPUSH', batch, unpack(members))
  redis.call('EXPIRE', batch, ttl)
end
return answers
