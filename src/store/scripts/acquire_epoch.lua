-- Acquires the next epoch, above every epoch that the caller has seen: a counter that was lost must not give out the
-- epoch of an earlier leader again. Where no process is left that has seen the highest epoch (the counter was flushed,
-- or set back by a failover), the process id still distinguishes the two leaders.
--
-- KEYS  1  the epoch: a counter
--       2  a hash: writer -> `<epoch>/<process id>`, the epoch that it acquired last
-- ARGV  1  the highest epoch that the caller has seen, 0 for none
--       2  the writer
--       3  the caller's process id
-- Reply {the acquired epoch, the optional commands that were denied, 1 if the writer had an epoch before, else 0}

local known = own('HGET', KEYS[2], ARGV[2])
local counter, highest = text(KEYS[1], MAX_DIGITS), math.max(highest_epoch(KEYS[2]), count(ARGV[1]) or 0)
-- A counter of another type or without sense is lost; `text` reads an empty one as absent, but it can't be incremented.
if not counter then counter = redis.call('MGET', KEYS[1])[1] end
local epoch = (not counter or count(counter)) and own('INCR', KEYS[1]) or 0
if epoch <= highest then epoch = highest + 1 end
if not count(string.format('%.0f', epoch)) then
  -- Another client has set one that leaves no room. All writers begin again.
  redis.call('DEL', KEYS[2])
  epoch = 1
end
local digits = string.format('%.0f', epoch)
if redis.call('MGET', KEYS[1])[1] ~= digits then redis.call('SET', KEYS[1], digits) end
make_good(KEYS[2])
redis.call('HSET', KEYS[2], ARGV[2], digits .. '/' .. ARGV[3])
persist(KEYS[1])
persist(KEYS[2])
expires(KEYS[2])
return { epoch, denied_commands(), known and 1 or 0 }
