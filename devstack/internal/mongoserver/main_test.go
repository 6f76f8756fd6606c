package mongoserver

import (
	"testing"

	"github.com/ordersaga/ordersaga/devstack/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }
