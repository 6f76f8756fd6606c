package participanttest

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
)

// Fault is what happens to a request on its way to a service and back.
type Fault int

// The faults.
const (
	// None lets it pass.
	None Fault = iota
	// LoseRequest ends the connection before the request takes effect.
	LoseRequest
	// LoseAnswer ends it after that.
	LoseAnswer
	// Repeat delivers it twice, and answers with the second answer.
	Repeat
	// Delay ends the connection; the request takes effect later.
	Delay
)

// Faults is a service whose requests and answers get lost, late and repeated.
type Faults struct {
	next http.Handler
	// draw says what happens to the next request.
	mu      sync.Mutex
	draw    func(r *http.Request) Fault
	delayed []func()
	paused  *Paused
	running sync.WaitGroup
}

// NewFaults returns a service without faults.
func NewFaults(next http.Handler) *Faults {
	return &Faults{next: next, draw: func(*http.Request) Fault { return None }}
}

// Next has one fault happen to the next request with an effect.
func (f *Faults) Next(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.draw = func(r *http.Request) Fault {
		if r.Method != http.MethodPut {
			return None
		}
		f.draw = func(*http.Request) Fault { return None }
		return fault
	}
}

// Random has every fault happen to one request in so many.
func (f *Faults) Random(random *rand.Rand, oneIn int) {
	f.Draw(func() Fault {
		if n := random.IntN(oneIn); n < int(Delay) {
			return Fault(n + 1)
		}
		return None
	})
}

// Draw has a function say what happens to each request. It is called by one goroutine at a time.
func (f *Faults) Draw(draw func() Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.draw = func(*http.Request) Fault { return draw() }
}

// Settle has delayed requests take effect, and the following ones pass.
func (f *Faults) Settle() {
	f.mu.Lock()
	f.draw = func(*http.Request) Fault { return None }
	f.mu.Unlock()
	f.flush()
	f.running.Wait()
}

func (f *Faults) flush() {
	f.mu.Lock()
	delayed := f.delayed
	f.delayed = nil
	f.mu.Unlock()
	for _, deliver := range delayed {
		deliver()
	}
}

// ServeHTTP implements http.Handler.
func (f *Faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	deliver := func() *httptest.ResponseRecorder {
		// The request outlives its connection.
		again := r.Clone(context.WithoutCancel(r.Context()))
		again.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		f.next.ServeHTTP(answer, again)
		return answer
	}
	f.mu.Lock()
	fault, paused := f.draw(r), f.paused
	if r.Method == http.MethodPut {
		f.paused = nil
	} else {
		paused = nil
	}
	f.mu.Unlock()
	if paused != nil {
		paused.pass(f, w, deliver)
		return
	}
	switch fault {
	case LoseRequest:
		panic(http.ErrAbortHandler)
	case LoseAnswer:
		deliver()
		panic(http.ErrAbortHandler)
	case Delay:
		f.mu.Lock()
		f.delayed = append(f.delayed, func() { deliver() })
		f.mu.Unlock()
		panic(http.ErrAbortHandler)
	case Repeat:
		deliver()
	case None:
	}
	answer := deliver()
	// What was delayed arrives after this request, which may have undone it.
	f.flush()
	copyAnswer(w, answer)
}

func copyAnswer(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// Paused is a request that waits before it takes effect.
type Paused struct {
	arrived, abandoned, released, done chan struct{}
}

// Pause has the next request with an effect wait.
func (f *Faults) Pause() *Paused {
	p := &Paused{make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = p
	return p
}

func (p *Paused) pass(f *Faults, w http.ResponseWriter, deliver func() *httptest.ResponseRecorder) {
	close(p.arrived)
	var answer *httptest.ResponseRecorder
	f.running.Go(func() {
		<-p.released
		answer = deliver()
		close(p.done)
	})
	select {
	case <-p.abandoned:
		panic(http.ErrAbortHandler)
	case <-p.done:
		copyAnswer(w, answer)
	}
}

// Arrived is closed when the request waits.
func (p *Paused) Arrived() <-chan struct{} { return p.arrived }

// Abandon ends the connection, while the request still waits.
func (p *Paused) Abandon() { close(p.abandoned) }

// Release has the request take effect, and returns when it has.
func (p *Paused) Release() {
	close(p.released)
	<-p.done
}
