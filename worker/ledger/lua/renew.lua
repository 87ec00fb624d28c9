-- Keep a worker's lease, and learn in the same step what became urgent.
--
-- KEYS[1]  the workers (score: lease ends, ms)              sorted set
-- KEYS[2]  what this worker holds                           set
-- KEYS[3]  what this worker took since it last cleared its suspects, which did not kill it   list
-- KEYS[4]  orders it holds that became urgent               list
-- ARGV[1]  the worker's id
-- ARGV[2]  length of the lease, ms
-- ARGV[3]  1 for the first time, else 0
--
-- Answers {server time in ms, 1 kept or 0 lost, how many orders are held, name...}. A lost lease stays lost: recovery is
-- giving the orders away, or the server forgot them; score 0 asks recovery to look.
local workers, held, taken, urgent = unpack(KEYS)
local worker, now = ARGV[1], now_ms()
if ARGV[3] == '0' and not has_lease(workers, worker) then
  redis.call('ZADD', workers, 0, worker)
  return {now, 0, 0}
end
redis.call('ZADD', workers, now + ARGV[2], worker)
redis.call('DEL', taken)
local answer = {now, 1, redis.call('SCARD', held)}
local names = redis.call('LRANGE', urgent, 0, -1)
if #names > 0 then
  redis.call('DEL', urgent)
  for _, name in ipairs(names) do answer[#answer + 1] = name end
end
return answer
