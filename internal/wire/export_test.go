package wire

// PoolSize is how many peers sipgo keeps of a stack.
func PoolSize(s *Stack) int { return s.agent.TransportLayer().Pool(s.options.Transport).Size() }
