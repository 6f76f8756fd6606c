package stripe

import (
	"strings"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// scales are the currencies whose smallest unit at Stripe is another than that of ISO 4217: one unit of ISO 4217 has this many of Stripe's.
// Source: Stripe's documentation of zero-decimal currencies and special cases.
var scales = map[string]int64{"ISK": 100, "UGX": 100}

// wholeUnits are the currencies of which Stripe accepts whole units only, although ISO 4217 has a smaller one: so many of those are one of Stripe's.
var wholeUnits = map[string]int64{"MGA": 100}

// tens are the currencies with three decimals of which Stripe requires the last to be zero.
var tens = map[string]bool{"BHD": true, "JOD": true, "KWD": true, "OMR": true, "TND": true}

// toStripe converts an amount in minor units of ISO 4217 into Stripe's smallest unit. The error is Invalid if Stripe has no such amount.
func toStripe(amount int64, currency string) (int64, error) {
	currency = strings.ToUpper(currency)
	if unit := wholeUnits[currency]; unit != 0 {
		if amount%unit != 0 {
			return 0, fault.New(fault.Invalid, "Stripe accepts whole units of %s only", currency)
		}
		return amount / unit, nil
	}
	if tens[currency] && amount%10 != 0 {
		return 0, fault.New(fault.Invalid, "Stripe requires amounts in %s that are a multiple of 10", currency)
	}
	return amount * max(scales[currency], 1), nil
}

// fromStripe converts an amount in Stripe's smallest unit into minor units of ISO 4217, rounded down.
func fromStripe(amount int64, currency string) int64 {
	currency = strings.ToUpper(currency)
	return amount * max(wholeUnits[currency], 1) / max(scales[currency], 1)
}
