package order

import "strconv"

// decimals is how many decimals a currency's amounts have where that is not two (ISO 4217).
var decimals = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0,
	"VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// Money writes an amount in minor units for people: 1999 EUR are "19.99 EUR", 1999 JPY are "1999 JPY".
func Money(minor int64, currency string) string {
	places, special := decimals[currency]
	if !special {
		places = 2
	}
	digits := strconv.FormatUint(magnitude(minor), 10)
	for len(digits) <= places {
		digits = "0" + digits
	}
	if places > 0 {
		digits = digits[:len(digits)-places] + "." + digits[len(digits)-places:]
	}
	if minor < 0 {
		digits = "-" + digits
	}
	return digits + " " + currency
}

// magnitude is the amount without its sign, also of the smallest one.
func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-(n + 1)) + 1
	}
	return uint64(n)
}
