-- Take orders to work on them: only what nobody holds.
--
-- KEYS[1]  what this worker holds                           set
-- KEYS[2], KEYS[3]  what waits in the risk and the routine queue   sorted sets
-- KEYS[4...]  the orders' records                           string
-- ARGV[1]  the worker's id
-- ARGV[2]  the lane the wake-up call came through
--
-- Answers one text an order: the record as claimed (also one this worker claimed before), '' for one that has ended or is in
-- other hands, 'missing' for one the ledger does not know.
local values = redis.call('MGET', unpack(KEYS, 4))
local answers, names = {}, {}
for i, value in ipairs(values) do
  if not value then
    answers[i] = 'missing'
  else
    local status, fence, owner, accepted, rest = string.match(value, '^(%S+) (%d+) (%S+) (%d+) (.*)$')
    local name = string.sub(KEYS[i + 3], 10)
    if status == 'queued' then
      answers[i] = 'sending ' .. (fence + 1) .. ' ' .. ARGV[1] .. ' ' .. accepted .. ' ' .. rest
      redis.call('SET', KEYS[i + 3], answers[i], 'KEEPTTL')
      names[#names + 1] = name
    elseif owner == ARGV[1] then
      answers[i] = value
    else
      answers[i] = ''
      -- Held by somebody in the slower lane: tell the holder that it has become urgent.
      if ARGV[2] == 'risk' and owner ~= '-' then
        redis.call('RPUSH', 'nc:urgent:' .. owner, name)
        redis.call('EXPIRE', 'nc:urgent:' .. owner, 60)
      end
    end
  end
end
if #names > 0 then
  redis.call('ZREM', KEYS[2], unpack(names))
  redis.call('ZREM', KEYS[3], unpack(names))
  redis.call('SADD', KEYS[1], unpack(names))
end
return answers
