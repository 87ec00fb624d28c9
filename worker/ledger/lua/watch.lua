-- Take orders from the watch list whose next look is due. They have ended while they may still work; the look may find more.
--
-- KEYS[1]  the workers (score: lease ends, ms)              sorted set
-- KEYS[2]  what this worker holds                           set
-- KEYS[3]  what this worker took since it last cleared its suspects   list
-- KEYS[4]  the watch list (score: next look, ms)            sorted set
-- ARGV[1]  the worker's id
-- ARGV[2]  how many to take at most
-- ARGV[3]  what a record's key has in front of the order's name
--
-- Answers {name, record, name, record...}, each record with its new fence and this worker as its owner; the status stays as it ended. Answers nothing for a
-- worker without a lease.
local workers, held, taken, watch_list = unpack(KEYS)
local worker, prefix = ARGV[1], ARGV[3]
if not has_lease(workers, worker) then return false end
local due = redis.call('ZRANGE', watch_list, '-inf', now_ms(), 'BYSCORE', 'LIMIT', 0, ARGV[2])
local answers, names, keys = {}, {}, {}
for i, name in ipairs(due) do keys[i] = prefix .. name end
local records = #keys > 0 and redis.call('MGET', unpack(keys)) or {}
for i, name in ipairs(due) do
  local status, fence, owner, rest = split(records[i])
  if owner == '-' and WATCHABLE[status] then
    local new = claimed(status, fence, worker, rest)
    redis.call('SET', keys[i], new, 'KEEPTTL')
    answers[#answers + 1] = name
    answers[#answers + 1] = new
    names[#names + 1] = name
  end
end
if #due > 0 then redis.call('ZREM', watch_list, unpack(due)) end
if #names > 0 then redis.call('SADD', held, unpack(names)) end
mark_suspects(taken, names)
return answers
