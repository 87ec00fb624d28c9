-- Take orders to work on them: only what nobody holds.
--
-- KEYS[1]  what this worker holds                           set
-- KEYS[2], KEYS[3]  what waits in the risk and the routine queue   sorted sets
-- KEYS[4]  what this worker took since it last cleared its suspects: the suspects if it dies now   list
-- KEYS[5...]  the orders' records                           string
-- ARGV[1]  the worker's id
-- ARGV[2]  the lane the wake-up call came through
-- ARGV[3]  the account's backlog, for the orders that this worker has no room for
-- ARGV[4]  how many to take at most; what may have been sent already is taken beyond that, but where it is -1
--
-- Answers one text an order: the record as claimed (also one this worker claimed before), '' for one that has ended or is in
-- other hands or went into the backlog, 'missing' for one the ledger does not know. Answers nothing for a worker without a
-- lease: what it took, nobody would miss. An order that two deaths point at is no suspect until its turn comes, alone.
-- What may have been sent must be looked at before anything else, and that takes no turn: there is always room for it.
if tonumber(redis.call('ZSCORE', 'nc:workers', ARGV[1]) or '0') == 0 then return false end
local values = redis.call('MGET', unpack(KEYS, 5))
local answers, names, suspects, deferred, fresh, returned = {}, {}, {}, {}, {}, {}
local most, taken = tonumber(ARGV[4]), 0
for i, value in ipairs(values) do
  if not value then
    answers[i] = 'missing'
  else
    local status, fence, owner, rest = string.match(value, '^(%S+) (%d+) (%S+) (.*)$')
    local name = string.sub(KEYS[i + 4], 10)
    answers[i] = ''
    local sent, crashes = string.match(rest, '^%d+ (%d) (%d+) ')
    crashes = tonumber(crashes)
    if status == 'queued' and taken >= most and (sent == '0' or crashes >= 2 or most < 0) then
      deferred[#deferred + 1] = name
      if tonumber(fence) > 0 and crashes < 2 then table.insert(returned, 1, name) else fresh[#fresh + 1] = name end
    elseif status == 'queued' then
      answers[i] = 'sending ' .. (fence + 1) .. ' ' .. ARGV[1] .. ' ' .. rest
      redis.call('SET', KEYS[i + 4], answers[i], 'KEEPTTL')
      names[#names + 1] = name
      if sent == '0' then taken = taken + 1 end
      if crashes < 2 then suspects[#suspects + 1] = name end
    elseif owner == ARGV[1] then
      answers[i] = value
    elseif ARGV[2] == 'risk' and owner ~= '-' then
      -- Held by somebody in the slower lane: tell the holder that it has become urgent.
      redis.call('RPUSH', 'nc:urgent:' .. owner, name)
      redis.call('EXPIRE', 'nc:urgent:' .. owner, 60)
    end
  end
end
if #names > 0 then
  redis.call('ZREM', KEYS[2], unpack(names))
  redis.call('ZREM', KEYS[3], unpack(names))
  redis.call('SADD', KEYS[1], unpack(names))
end
if #suspects > 0 then
  redis.call('RPUSH', KEYS[4], unpack(suspects))
  redis.call('EXPIRE', KEYS[4], 60)
end
if #deferred > 0 then
  redis.call('ZREM', KEYS[2], unpack(deferred))
  redis.call('ZREM', KEYS[3], unpack(deferred))
  -- Whom a worker had in its hands before has waited: in front of whom none had, but not if two deaths point at it.
  if #fresh > 0 then redis.call('RPUSH', ARGV[3], unpack(fresh)) end
  if #returned > 0 then redis.call('LPUSH', ARGV[3], unpack(returned)) end
  redis.call('EXPIRE', ARGV[3], 604800)
  local time = redis.call('TIME')
  redis.call('ZADD', 'nc:backlogs', time[1] * 1000 + 3000, ARGV[3])
end
return answers
