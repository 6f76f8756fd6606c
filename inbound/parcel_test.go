package inbound_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Lines of a parcel that cannot be read are no reason to lose its event. They fit no line, and never mean all lines.
func TestParcelLines(t *testing.T) {
	bad := order.ShipmentLine{Line: -1, Quantity: -1}
	for value, want := range map[string][]order.ShipmentLine{
		`null`: nil, `[]`: nil, `"all"`: {bad}, `[7]`: {bad}, `[{}]`: {bad}, `{"line":1}`: {bad},
		`[{"line":1,"quantity":2},{"sku":"pot","quantity":"1"}]`: {{Line: 1, Quantity: 2}, {SKU: "pot", Quantity: 1}},
		`[{"line":1}]`: {{Line: 1}},
		`[{"line":1,"quantity":2},{"line":1,"quantity":3}]`:                         {{Line: 1, Quantity: 5}},
		`[{"line":0,"quantity":1},{"line":101},{"line":1.5}]`:                       {{Line: -1, Quantity: 1}, {Line: -1}},
		`[{"sku":"tea","quantity":0},{"sku":"pot","quantity":-2}]`:                  {{SKU: "tea", Quantity: -1}, {SKU: "pot", Quantity: -1}},
		`[` + strings.Repeat(`{"sku":"tea","quantity":1},`, 999) + `{"sku":"tea"}]`: {{SKU: "tea", Quantity: 999}, {SKU: "tea"}},
	} {
		w := newWorld()
		require.NoError(t, w.executor.Handle(t.Context(), arrived(event.ShipmentDispatched, `{"parcelId":12,"lines":`+value+`}`)), value)
		signal := w.sagas.signals[0].payload.(order.ShipmentSignal)
		require.Equal(t, want, signal.Lines, value)
		require.Equal(t, "12", signal.ParcelID)
	}
}

func TestTooManyParcelLines(t *testing.T) {
	var lines []string
	for n := range 500 {
		lines = append(lines, `{"sku":"s`+strings.Repeat("x", n)+`","quantity":1}`)
	}
	w := newWorld()
	require.NoError(t, w.executor.Handle(t.Context(), arrived(event.ShipmentDelivered, `{"lines":[`+strings.Join(lines, ",")+`]}`)))
	signal := w.sagas.signals[0].payload.(order.ShipmentSignal)
	require.Len(t, signal.Lines, order.MaxShipmentLines)
	require.Equal(t, order.ShipmentLine{Line: -1, Quantity: -1}, signal.Lines[order.MaxShipmentLines-1], "what was cut off fits no line")
}

func TestLongParcelNamesStayDistinct(t *testing.T) {
	names := make(map[string]bool)
	for _, end := range []string{"", "1", "2"} {
		w := newWorld()
		require.NoError(t, w.executor.Handle(t.Context(), arrived(event.ShipmentLost, `{"parcelId":"`+strings.Repeat("ü", 500)+end+`"}`)))
		names[w.sagas.signals[0].payload.(order.ShipmentSignal).ParcelID] = true
	}
	require.Len(t, names, 3)
}
