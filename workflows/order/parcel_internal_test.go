package order

import (
	"testing"

	"pgregory.net/rapid"
)

// TestRefundsOfAllLinesSumToTheTotal: in whatever parts the lines of an order are refunded, with discounts, and in which order.
func TestRefundsOfAllLinesSumToTheTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o Order
		gross := int64(0)
		unstocked := false
		for range rapid.IntRange(1, 6).Draw(t, "lines") {
			quantity := rapid.Int64Range(1, 1000).Draw(t, "quantity")
			unit := rapid.Int64Range(0, MaxAmount/quantity).Draw(t, "unitAmount")
			o.Lines = append(o.Lines, Line{SKU: "tea", Quantity: quantity, UnitAmount: unit})
			gross += quantity * unit
		}
		for range rapid.IntRange(0, 3).Draw(t, "discounts") {
			amount := rapid.Int64Range(0, gross).Draw(t, "discount")
			gross -= amount
			o.Lines = append(o.Lines, Line{SKU: "less", Quantity: 1, UnitAmount: -amount, Stocked: &unstocked})
		}
		o = o.Normalize()
		s, left, sum := &State{Order: o}, o.of(), int64(0)
		for i, l := range o.Lines {
			if l.UnitAmount >= 0 {
				left[i] = l.Quantity
			}
		}
		for !left.empty() {
			i := rapid.IntRange(0, len(left)-1).Draw(t, "line")
			if left[i] == 0 {
				continue
			}
			lines := []LineQuantity{{i + 1, rapid.Int64Range(1, left[i]).Draw(t, "pieces")}}
			amount := s.refundAmount(lines)
			if amount < 0 || amount > lines[0].Quantity*o.Lines[i].UnitAmount {
				t.Fatalf("%d for %v", amount, lines)
			}
			sum += amount
			left.add(lines, -1)
			s.Refunds = append(s.Refunds, ParcelRefund{Lines: lines, Amount: amount})
		}
		if sum != o.TotalAmount {
			t.Fatalf("the refunds sum to %d, and the total is %d", sum, o.TotalAmount)
		}
	})
}
