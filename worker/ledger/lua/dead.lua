-- Find a worker whose lease ran out and some of what it held; forget the worker when nothing is left.
--
-- KEYS[1]  the workers (score: lease ends, ms)              sorted set
-- ARGV[1]  how many orders to answer at most
-- ARGV[2]  what the key of the orders that a worker holds has in front of its id
-- ARGV[3]  the same for what a worker took since it last cleared its suspects
-- ARGV[4]  what a record's key has in front of the order's name
--
-- Answers {worker, suspects, name...}, or nothing: the first so many names are suspects, taken since the worker last cleared its
-- suspects. Where earlier deaths point at some of them, only those that most deaths point at. The lease is marked as lost for good
-- (score 0) in the same step.
local workers, prefix = KEYS[1], ARGV[4]
local worker = redis.call('ZRANGE', workers, '-inf', now_ms(), 'BYSCORE', 'LIMIT', 0, 1)[1]
if not worker then return {} end
redis.call('ZADD', workers, 0, worker)
local held, taken = ARGV[2] .. worker, ARGV[3] .. worker
local answer, suspects = {worker, 0}, {}
local most, deaths = 0, {}
for _, name in ipairs(redis.call('LRANGE', taken, 0, -1)) do
  if redis.call('SISMEMBER', held, name) == 1 then
    local _, _, _, _, _, crashes = parse(redis.call('MGET', prefix .. name)[1])
    deaths[name] = tonumber(crashes or '0')
    most = math.max(most, deaths[name])
  end
end
redis.call('DEL', taken)
for name, count in pairs(deaths) do
  if count == most then
    suspects[name] = true
    answer[#answer + 1] = name
    answer[2] = answer[2] + 1
  end
end
for _, name in ipairs(redis.call('SRANDMEMBER', held, ARGV[1])) do
  if not suspects[name] then answer[#answer + 1] = name end
end
if #answer == 2 then redis.call('ZREM', workers, worker) end
return answer
