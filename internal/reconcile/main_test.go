package reconcile_test

import (
	"testing"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/testflow"
)

func TestMain(m *testing.M) {
	if err := testflow.Flow.Register(); err != nil {
		panic(err)
	}
	testenv.Main(m)
}
