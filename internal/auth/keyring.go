package auth

import (
	"context"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// staleAfter is how old the copy of the keys may be before the store is read again, while requests go on with the copy.
	staleAfter = 10 * time.Second
	// maxStale is how old the copy may be at all. A revocation is effective within this time, and promised within 30 s. It is more than
	// staleAfter, so that a failover of the store does not refuse known callers.
	maxStale = 20 * time.Second
	// readPause is the least time between two reads.
	readPause = 500 * time.Millisecond
	// readTimeout bounds a read of the store.
	readTimeout = 5 * time.Second
	// maxLookups is how many requests may wait for a read because the copy does not have their key: those of known callers need the room.
	maxLookups = 256
)

// Keyring authenticates API keys from a copy of all of them. Call NewKeyring.
type Keyring struct {
	store Store
	clock func() time.Time

	mu sync.Mutex
	// held are the keys by hash, as read number heldBy found them at readAt; the zero time is never.
	held   map[string]Caller
	heldBy int
	readAt time.Time
	// begun is the number of the last read: it began at tried and ended with failed, or reading is closed when it ends.
	begun   int
	tried   time.Time
	failed  error
	reading chan struct{}
	// lookups counts the requests that wait although there is a copy.
	lookups int
}

// NewKeyring returns a keyring over a store. It does no I/O. The clock may be nil.
func NewKeyring(store Store, clock func() time.Time) *Keyring {
	if clock == nil {
		clock = time.Now
	}
	return &Keyring{store: store, clock: clock}
}

// Authenticate implements Authenticator. A key that the copy does not have is looked for in a copy that is read after the request has
// begun: a key works as soon as it is made.
func (k *Keyring) Authenticate(ctx context.Context, token string) (Caller, error) {
	if !isKey(token) {
		return Caller{}, errUnknownKey
	}
	hash := hashOf(token)
	before, leave, err := k.enter(hash)
	if err != nil {
		return Caller{}, err
	}
	defer leave()
	for {
		caller, done, pause, err := k.look(hash, before)
		if done == nil && pause == 0 {
			return caller, err
		}
		if err := await(ctx, done, pause); err != nil {
			return Caller{}, err
		}
	}
}

// enter returns the number of the last read that has begun, and counts a request that will have to wait although there is a copy, until leave
// is called. The error is Unavailable when too many such requests wait.
func (k *Keyring) enter(hash string) (before int, leave func(), err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, known := k.held[hash]; known || k.heldBy == 0 {
		return k.begun, func() {}, nil
	}
	if k.lookups >= maxLookups {
		return 0, nil, fault.New(fault.Unavailable, "too many unknown API keys are looked up")
	}
	k.lookups++
	return k.begun, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.lookups--
	}, nil
}

// look returns the answer, or what to wait for: a read, or a pause before the next one. Before is the last read that had begun before the
// request.
func (k *Keyring) look(hash string, before int) (caller Caller, done <-chan struct{}, pause time.Duration, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock()
	caller, known := k.held[hash]
	age := now.Sub(k.readAt)
	switch {
	case known && age < maxStale:
		if age >= staleAfter {
			k.read(now)
		}
		if !caller.Expires.IsZero() && !now.Before(caller.Expires) {
			return Caller{}, nil, 0, errUnknownKey
		}
		return caller, nil, 0, nil
	case k.heldBy > before:
		return Caller{}, nil, 0, errUnknownKey
	case k.failed != nil && k.reading == nil && k.begun > before:
		return Caller{}, nil, 0, k.failed
	}
	done, pause = k.read(now)
	return Caller{}, done, pause, nil
}

// read begins a read, unless one is under way or was a moment ago. It returns what to wait for.
func (k *Keyring) read(now time.Time) (done <-chan struct{}, pause time.Duration) {
	if k.reading != nil {
		return k.reading, 0
	}
	if pause := k.tried.Add(readPause).Sub(now); pause > 0 {
		return nil, pause
	}
	reading := make(chan struct{})
	k.begun++
	k.reading, k.tried = reading, now
	go func() {
		// Not the context of one caller: others wait too.
		ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
		defer cancel()
		records, err := k.store.All(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.failed = fault.Wrap(err, fault.Unavailable, "read the API keys"); err == nil {
			k.held, k.heldBy, k.readAt = hold(records), k.begun, now
		}
		k.reading = nil
		close(reading)
	}()
	return reading, 0
}

// await waits for a channel, or a pause when there is none. The error is Unavailable when the context ends.
func await(ctx context.Context, done <-chan struct{}, pause time.Duration) error {
	var timer <-chan time.Time
	if done == nil {
		t := time.NewTimer(pause)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-done:
	case <-timer:
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, "wait for the API keys")
	}
	return nil
}

// hold makes the copy: the keys that are not revoked, by the hashes of their secrets.
func hold(records []Record) map[string]Caller {
	held := make(map[string]Caller)
	for _, key := range keysOf(records) {
		if !key.RevokedAt.IsZero() {
			continue
		}
		for _, s := range key.secrets {
			held[s.hash] = Caller{Namespace: key.Caller, Actor: key.Name, Scopes: key.Scopes, Expires: s.expires}
		}
	}
	return held
}

// errUnknownKey says no more than a client has to know: not whether the key was revoked, has expired or never was.
var errUnknownKey = Refused("the API key is not valid")
