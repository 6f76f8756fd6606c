package ports

import (
	"errors"
	"net"
	"os"
	"testing"
)

func open(t *testing.T, dir string) *Reservation {
	t.Helper()
	r, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Release)
	return r
}

func TestAnyStaysBelowTheEphemeralRange(t *testing.T) {
	r := open(t, t.TempDir())
	seen := make(map[int]bool)
	for range 20 {
		port, err := r.Any()
		if err != nil {
			t.Fatal(err)
		}
		if port < firstFree || port > lastFree {
			t.Errorf("port %d is outside %d..%d", port, firstFree, lastFree)
		}
		if seen[port] {
			t.Errorf("port %d was handed out twice", port)
		}
		seen[port] = true
	}
}

func TestFromSkipsPortsInUse(t *testing.T) {
	r := open(t, t.TempDir())
	taken, err := r.Any()
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: taken})
	if err != nil {
		t.Skipf("port %d was taken meanwhile: %v", taken, err)
	}
	defer listener.Close()

	got, err := r.From(taken)
	if err != nil {
		t.Fatal(err)
	}
	if got <= taken {
		t.Errorf("From(%d) = %d, want the next free one", taken, got)
	}
}

func TestLaunchersNeverShareAPort(t *testing.T) {
	dir := t.TempDir()
	first, second := open(t, dir), open(t, dir)
	port, err := first.Any()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := second.From(port); err != nil || got == port {
		t.Fatalf("From(%d) = %d, %v; it belongs to the other launcher", port, got, err)
	}
	first.Release()
	if got, err := second.From(port); err != nil || got != port {
		t.Errorf("From(%d) = %d, %v after it was released", port, got, err)
	}
}

func TestReleaseLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	if _, err := r.Any(); err != nil {
		t.Fatal(err)
	}
	r.Release()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left after release: %v, %v", left, err)
	}
}

func TestFromEndsAtTheLastPort(t *testing.T) {
	r := open(t, t.TempDir())
	if _, err := r.From(65536); !errors.Is(err, ErrNone) {
		t.Errorf("err = %v, want ErrNone", err)
	}
}
