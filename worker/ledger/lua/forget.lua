-- Drop what is left of orders whose records have gone.
--
-- KEYS[1]  what the former owner holds                      set
-- KEYS[2], KEYS[3]  orders that wait in the risk and the routine queue   sorted sets
-- KEYS[4...]  the records                                   string
-- ARGV[1]  what a record's key has in front of the order's name
--
-- Answers the names of those in whose place is a key of another kind; they keep what they have.
local held, risk_queued, routine_queued = unpack(KEYS, 1, 3)
local others = {}
for i, value in ipairs(redis.call('MGET', unpack(KEYS, 4))) do
  local name = string.sub(KEYS[i + 3], #ARGV[1] + 1)
  if not value and redis.call('EXISTS', KEYS[i + 3]) == 1 then
    others[#others + 1] = name
  elseif not value then
    redis.call('SREM', held, name)
    leave_queues(risk_queued, routine_queued, {name})
  end
end
return others
