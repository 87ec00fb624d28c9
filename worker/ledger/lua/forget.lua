-- Drop what is left of orders whose records have gone.
--
-- KEYS[1]  what the former owner holds                      set
-- KEYS[2], KEYS[3]  orders that wait in the risk and the routine queue   sorted sets
-- ARGV[1]  what a record's key has in front of the order's name
-- ARGV[2...]  the orders' names
local held, risk_queued, routine_queued = unpack(KEYS)
for i = 2, #ARGV do
  local name = ARGV[i]
  if redis.call('EXISTS', ARGV[1] .. name) == 0 then
    redis.call('SREM', held, name)
    leave_queues(risk_queued, routine_queued, {name})
  end
end
return true
