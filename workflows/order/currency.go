package order

import (
	"strconv"
	"strings"

	"golang.org/x/text/currency"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// noCurrency is the code of ISO 4217 for transactions without a currency.
const noCurrency = "XXX"

// newCurrencies are the codes that ISO 4217 got after the tables of x/text were made (CLDR 32, 2017).
var newCurrencies = map[string]bool{
	"MRU": true, "SLE": true, "UYW": true, "VED": true, "VES": true, "XAD": true, "XCG": true, "ZWG": true,
}

// KnownCurrency reports whether code is one of ISO 4217, in letters of any case, of today or of the past. Which of them are
// accepted is up to the gateway.
func KnownCurrency(code string) bool {
	code = strings.ToUpper(code)
	if !isCurrency(code) || code == noCurrency {
		return false
	}
	if newCurrencies[code] {
		return true
	}
	_, err := currency.ParseISO(code)
	return err == nil
}

// ValidateNew says what Validate does not ask of an order that exists: earlier versions took every code that has the form of
// a currency, and such orders, and repeated requests for them, must stay valid. The error is Invalid.
func (o Order) ValidateNew() error {
	if KnownCurrency(o.Currency) {
		return nil
	}
	return fault.NewInvalid("order", []fault.Field{fault.Fieldf("/currency", unknownCurrency)})
}

const unknownCurrency = "is not a currency of ISO 4217"

// isCurrency reports whether code has the form of an ISO 4217 code, in letters of any case.
func isCurrency(code string) bool {
	if len(code) != 3 {
		return false
	}
	for _, c := range code {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// linePointer is the JSON pointer of line i.
func linePointer(i int) string { return "/lines/" + strconv.Itoa(i) }
