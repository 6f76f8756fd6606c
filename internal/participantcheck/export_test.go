package participantcheck

// SetAtOnce has f called with how many requests are sent at once from now on.
func (c *Config) SetAtOnce(f func(n int)) { c.atOnce = f }
