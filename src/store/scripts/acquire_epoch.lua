-- Takes the next number of the epoch, above any that the caller has seen: a counter that was lost must not hand out
-- the number of a leader that was superseded before. Where that can't be known (the counter was flushed, or set back by
-- a failover, and nobody is left who has seen it), the mark of who took the number still tells the two apart.
--
-- KEYS  1 the epoch   2 the hash of writers to `<number>/<mark>`, what they took last
-- ARGV  1 the highest number that the caller has seen, 0 for none   2 the writer   3 the caller's mark
-- Answer  the number taken

local number, least = redis.call('INCR', KEYS[1]), tonumber(ARGV[1])
for _, taken in ipairs(redis.call('HVALS', KEYS[2])) do least = math.max(least, tonumber(string.match(taken, '^%d+')) or 0) end
if number <= least then
  number = least + 1
  redis.call('SET', KEYS[1], string.format('%.0f', number))
end
redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f/%s', number, ARGV[3]))
return number
