package order

import "strconv"

// isCurrency reports whether code has the form of an ISO 4217 code. Which codes are dealt in is the gateway's
// business.
func isCurrency(code string) bool {
	if len(code) != 3 {
		return false
	}
	for _, c := range code {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// linePointer is the JSON pointer of line i.
func linePointer(i int) string { return "/lines/" + strconv.Itoa(i) }
