package order

import "github.com/ordersaga/ordersaga/internal/text"

// maxText is how many characters of a text from outside are kept.
const maxText = 500

// clean makes a text from outside fit for the log. What a sender wrote for people must never be the reason why an order cannot be
// recorded.
func clean(s string) string { return text.Clean(s, maxText) }
