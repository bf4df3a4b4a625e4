-- Acquires the next epoch, above every epoch that the caller has seen: a counter that was lost must not give out the
-- epoch of an earlier leader again. Where no process is left that has seen the highest epoch (the counter was flushed,
-- or set back by a failover), the process id still distinguishes the two leaders.
--
-- KEYS  1  the epoch: a counter
--       2  a hash: writer -> `<epoch>/<process id>`, the epoch that it acquired last
-- ARGV  1  the highest epoch that the caller has seen, 0 for none
--       2  the writer
--       3  the caller's process id
-- Reply the acquired epoch

local epoch, highest = redis.call('INCR', KEYS[1]), tonumber(ARGV[1])
for _, acquired in ipairs(redis.call('HVALS', KEYS[2])) do
  highest = math.max(highest, tonumber(string.match(acquired, '^%d+')) or 0)
end
if epoch <= highest then
  epoch = highest + 1
  redis.call('SET', KEYS[1], string.format('%.0f', epoch))
end
redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f/%s', epoch, ARGV[3]))
return epoch
