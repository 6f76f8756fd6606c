package event

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Integer returns the value of a JSON number that is an integer as in JSON Schema since draft 6: a number without a fraction, in any notation. 2,
// 2.0, 20e-1 and 1e2 are integers. whole reports whether it is an integer, fits whether it is in the range of int64. The number must be valid
// JSON.
func Integer(number json.Number) (n int64, whole, fits bool) {
	unsigned, negative := strings.CutPrefix(string(number), "-")
	mantissa, exponent := unsigned, ""
	if i := strings.IndexAny(unsigned, "eE"); i >= 0 {
		mantissa, exponent = unsigned[:i], unsigned[i+1:]
	}
	digits, fraction, _ := strings.Cut(mantissa, ".")
	digits = strings.TrimLeft(digits+fraction, "0")
	if digits == "" {
		return 0, true, true
	}
	// The value is digits × 10^scale. An exponent out of range is set to the nearest bound.
	scale, _ := strconv.ParseInt(exponent, 10, 32)
	scale -= int64(len(fraction))
	significant := strings.TrimRight(digits, "0")
	scale += int64(len(digits) - len(significant))
	const most = 19 // digits of the largest int64
	switch {
	case scale < 0:
		return 0, false, false
	case int64(len(significant))+scale > most:
		return 0, true, false
	}
	text := significant + strings.Repeat("0", int(scale))
	if negative {
		text = "-" + text
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, true, err == nil
}

// maxSafeInteger is the largest integer that every JSON reader represents exactly.
const maxSafeInteger = 1<<53 - 1

// ReadInteger returns a JSON value, as decoded with json.Decoder.UseNumber, that must be an integer below 2^53. wrong is the violated rule, or
// empty. unit is inserted after the word integer, such as " in minor units".
func ReadInteger(value any, unit string) (n int64, wrong string) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, "must be an integer" + unit + ", written as a JSON number"
	}
	n, whole, fits := Integer(number)
	switch {
	case !whole:
		return 0, "must be an integer" + unit + ", without a fraction"
	case !fits || n > maxSafeInteger || n < -maxSafeInteger:
		return 0, "must be an integer" + unit + ", below 2^53"
	}
	return n, ""
}
