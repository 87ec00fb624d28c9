-- Accept orders of one account: records, queue entry and message in one step.
--
-- KEYS[1]  queue list of the lane, read by Celery           list
-- KEYS[2]  what waits in that queue (score: the message's time, ms)   sorted set
-- KEYS[3]  members of the batch, or '' for none             list
-- KEYS[4]  the account's backlog, where the orders wait instead of in the queue, or ''   list
-- KEYS[5...]  the orders' records                           string
-- ARGV[1]  time to live of a record and a batch, seconds
-- ARGV[2], ARGV[3]  the message, to be joined by the server's time in ms; for a backlog it only wakes somebody up
-- ARGV[4]  this lane's name
-- ARGV[5...]  the orders' documents (JSON), one per record
--
-- Answers one number an order: 0 accepted, 1 attached to work under way, 2 dead already.
-- A record is "status fence owner accepted_ms maybe_sent crashes {document}".
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local DEAD = {cancelled = true, already_cancelled = true, filled = true, gone = true}
local WORKING = {queued = true, sending = true, verifying = true, waiting = true}
local answers, waiting, members, wanted = {}, {}, {}, false

for i = 5, #KEYS do
  local document = ARGV[i]
  local fresh = 'queued 0 - ' .. now .. ' 0 0 ' .. document
  local old = redis.call('SET', KEYS[i], fresh, 'NX', 'GET', 'EX', ARGV[1])
  local name = string.match(KEYS[i], '^nc:order:(.*)$')
  members[#members + 1] = name
  answers[i - 4] = 0
  if not old then
    wanted = true
    waiting[#waiting + 1] = now
    waiting[#waiting + 1] = name
  else
    local status, fence, owner, _, sent, crashes, before = string.match(old, '^(%S+) (%d+) (%S+) (%d+) (%d) (%d+) (.*)$')
    if DEAD[status] then
      answers[i - 4] = 2
    elseif WORKING[status] then
      answers[i - 4] = 1
      -- Asked for again with more urgency: it goes to the faster lane, too, and whoever takes it first wins.
      if ARGV[4] == 'risk' and cjson.decode(before).lane ~= 'risk' then
        wanted = true
        if KEYS[4] ~= '' and owner == '-' then
          redis.call('RPUSH', KEYS[4], name)
        elseif KEYS[4] ~= '' then
          redis.call('RPUSH', 'nc:urgent:' .. owner, name)
          redis.call('EXPIRE', 'nc:urgent:' .. owner, 60)
        end
      end
    else
      -- Ended, but the order may still work: a new job, which knows that a cancel may have been sent before.
      local first = cjson.decode(before).first_sent_at
      if first then document = string.sub(document, 1, -2) .. ', "first_sent_at": ' .. first .. '}' end
      redis.call('SET', KEYS[i], 'queued ' .. fence .. ' - ' .. now .. ' ' .. sent .. ' 0 ' .. document, 'EX', ARGV[1])
      redis.call('ZREM', 'nc:watch', name)
      wanted = true
      waiting[#waiting + 1] = now
      waiting[#waiting + 1] = name
    end
  end
end

if KEYS[4] ~= '' then
  -- In a backlog that is there already, somebody is looking; an empty one nobody is.
  wanted = wanted and redis.call('ZSCORE', 'nc:backlogs', KEYS[4]) == false
  for i = 2, #waiting, 2 do redis.call('RPUSH', KEYS[4], waiting[i]) end
  if redis.call('EXISTS', KEYS[4]) == 1 then
    redis.call('EXPIRE', KEYS[4], ARGV[1])
    redis.call('ZADD', 'nc:backlogs', 'NX', now + 3000, KEYS[4])
  end
elseif #waiting > 0 then
  redis.call('ZADD', KEYS[2], unpack(waiting))
end
if wanted then redis.call('LPUSH', KEYS[1], ARGV[2] .. now .. ARGV[3]) end
if KEYS[3] ~= '' then
  redis.call('RPUSH', KEYS[3], unpack(members))
  redis.call('EXPIRE', KEYS[3], ARGV[1])
end
return answers
