package event_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
)

func TestIntegerFormats(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "0.000": 0, "0e99999999999999999999": 0, "-0.0E-99999999999999999999": 0, "2": 2, "2.0": 2, "20e-1": 2, "1e2": 100,
		"1E+2": 100, "1.50e1": 15, "0.001e3": 1, "-12.00": -12, "9223372036854775807": 9223372036854775807,
		"-9223372036854775808.0": -9223372036854775808, "1000000000000000000000e-20": 10,
	} {
		n, whole, fits := event.Integer(json.Number(text))
		require.True(t, whole && fits, text)
		require.Equal(t, want, n, text)
	}
}

func TestNonIntegersAreRefused(t *testing.T) {
	for _, text := range []string{"1.5", "1e-1", "0.1", "-2.50", "15e-1", "1e-99999999999999999999", "12345678901234567890.5"} {
		_, whole, fits := event.Integer(json.Number(text))
		require.False(t, whole || fits, text)
	}
	for _, text := range []string{"9223372036854775808", "-9223372036854775809", "1e19", "1e400", "1e99999999999999999999", "0.1e99999999999999999999"} {
		_, whole, fits := event.Integer(json.Number(text))
		require.True(t, whole && !fits, text)
	}
}

// TestIntegerAgreesWithExactArithmetic compares with rational numbers, for every form that JSON allows.
func TestIntegerAgreesWithExactArithmetic(t *testing.T) {
	digits := func(t *rapid.T, label string, least int) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"0", "0", "1", "9"}), least, 12).Draw(t, label), "")
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign")
		text += rapid.SampledFrom([]string{"0", "7" + digits(t, "digits", 0)}).Draw(t, "integer")
		if rapid.Bool().Draw(t, "fraction") {
			text += "." + digits(t, "decimals", 1)
		}
		if rapid.Bool().Draw(t, "exponent") {
			text += rapid.SampledFrom([]string{"e", "E", "e+", "e-"}).Draw(t, "e") + rapid.SampledFrom([]string{"0", "1", "2", "07", "12", "25"}).Draw(t, "power")
		}
		require.True(t, json.Valid([]byte(text)), text)
		exact, ok := new(big.Rat).SetString(text)
		require.True(t, ok, text)

		n, whole, fits := event.Integer(json.Number(text))
		require.Equal(t, exact.IsInt(), whole, text)
		require.Equal(t, exact.IsInt() && exact.Num().IsInt64(), fits, text)
		if fits {
			require.Equal(t, exact.Num().Int64(), n, text)
		}
	})
}

func TestReadIntegerErrors(t *testing.T) {
	for value, want := range map[any]string{
		json.Number("2.0"): "", json.Number("-1e2"): "", json.Number("9007199254740991"): "",
		"2":                             "must be an integer in grams, written as a JSON number",
		true:                            "must be an integer in grams, written as a JSON number",
		json.Number("2.5"):              "must be an integer in grams, without a fraction",
		json.Number("9007199254740992"): "must be an integer in grams, below 2^53",
		json.Number("-1e30"):            "must be an integer in grams, below 2^53",
	} {
		n, wrong := event.ReadInteger(value, " in grams")
		require.Equal(t, want, wrong, "%v", value)
		require.Equal(t, wrong == "", n != 0, "%v", value)
	}
}
