-- Find orders that are in nobody's care: not final, or watched by a worker, and in no queue, no backlog and no worker's hands.
--
-- KEYS[1], KEYS[2]  orders that wait in the risk and the routine queue   sorted sets
-- KEYS[3]  the workers (score: lease ends, ms)              sorted set
-- KEYS[4]  the backlogs (score: when another worker takes it over, ms)   sorted set
-- KEYS[5...]  the records                                   string
-- ARGV[1]  what a record's key has in front of the order's name
-- ARGV[2]  what a backlog's key has in front of lane and account
-- ARGV[3]  what the key of the orders that a worker holds has in front of its id
-- ARGV[4...]  the lanes
--
-- Answers {name, owner, fence, name, owner, fence ...}; owner '-' for an order that no worker held, 'unreadable' for a record that is
-- none. Nothing is written, but a backlog that is none of the backlogs is one again, for any worker to take over. An order may be on its way from one place to the next: what is found twice is lost.
-- In a long backlog only some orders are looked for: looking for each of them would keep the server from others.
local LONG, FEW = 5000, 20
local risk_queued, routine_queued, workers, backlogs = unpack(KEYS, 1, 4)
local name_at, lengths, looked, answers = #ARGV[1] + 1, {}, {}, {}

local function waits(name)
  if redis.call('ZSCORE', risk_queued, name) or redis.call('ZSCORE', routine_queued, name) then return true end
  for i = 4, #ARGV do
    local backlog = ARGV[2] .. ARGV[i] .. ':' .. string.match(name, '^[^:]+')
    if not lengths[backlog] then
      lengths[backlog] = redis.call('LLEN', backlog)
      if lengths[backlog] > 0 then redis.call('ZADD', backlogs, 'NX', 0, backlog) end
    end
    if lengths[backlog] > LONG then
      looked[backlog] = (looked[backlog] or 0) + 1
      if looked[backlog] > FEW then return true end
    end
    if lengths[backlog] > 0 and redis.call('LPOS', backlog, name) then return true end
  end
  return false
end

local function is_held(owner, name)
  return tonumber(redis.call('ZSCORE', workers, owner) or '0') ~= 0 and redis.call('SISMEMBER', ARGV[3] .. owner, name) == 1
end

for i, value in ipairs(redis.call('MGET', unpack(KEYS, 5))) do
  local name = string.sub(KEYS[i + 4], name_at)
  local status, fence, owner = parse(value)
  local stray = nil
  if not status then
    if value or redis.call('EXISTS', KEYS[i + 4]) == 1 then stray = {'unreadable', '0'} end
  elseif owner == '-' and WORKING[status] and not waits(name) or owner ~= '-' and not is_held(owner, name) then
    stray = {owner, fence}
  end
  if stray then
    for _, word in ipairs({name, stray[1], stray[2]}) do answers[#answers + 1] = word end
  end
end
return answers
