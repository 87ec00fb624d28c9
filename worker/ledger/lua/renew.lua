-- Keep a worker's lease, and learn in the same step what became urgent.
--
-- KEYS[1]  the workers (score: lease ends, ms)              sorted set
-- KEYS[2]  what this worker holds                           set
-- KEYS[3]  orders it holds that became urgent               list
-- KEYS[4]  what it took since, which did not kill it        list
-- ARGV[1]  the worker's id
-- ARGV[2]  length of the lease, ms
-- ARGV[3]  1 for the first time, else 0
--
-- Answers {server time in ms, 1 kept or 0 lost, how many orders are held, name...}. A lost lease stays lost: recovery is
-- giving the orders away, or the server forgot them; score 0 asks recovery to look.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0')
if ends == 0 and ARGV[3] == '0' then
  redis.call('ZADD', KEYS[1], 0, ARGV[1])
  return {now, 0, 0}
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('DEL', KEYS[4])
local answer = {now, 1, redis.call('SCARD', KEYS[2])}
local urgent = redis.call('LRANGE', KEYS[3], 0, -1)
if #urgent > 0 then
  redis.call('DEL', KEYS[3])
  for _, name in ipairs(urgent) do answer[#answer + 1] = name end
end
return answer
