package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/client"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// localURL is the address of a service with default settings on this machine.
const localURL = "http://127.0.0.1:8080"

// remoteRetry is for how long a command repeats a call: a person waits for it.
const remoteRetry = 10 * time.Second

// openRemote returns a client of the REST API, that of this machine if ORDERSAGA_URL is not set. Settings of the service are not checked: it is
// another process.
func openRemote() (*client.Client, error) {
	c, err := config.LoadRemote(os.Environ())
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{URL: cmp.Or(c.URL, localURL), APIKey: c.APIKey.Reveal(), RetryTime: remoteRetry, UserAgent: "ordersaga-cli"})
}

// isRemote reports whether commands that work on the stores directly use the REST API instead.
func isRemote() bool { return os.Getenv("ORDERSAGA_URL") != "" }

// remoteCommand runs use with a client.
func remoteCommand(use func(cmd *cobra.Command, args []string, c *client.Client) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := openRemote()
		if err != nil {
			return err
		}
		return use(cmd, args, c)
	}
}

// remoteBy is the person for a call: an authenticated caller is recorded as such and must not name one, unless the flag says so explicitly.
func remoteBy(cmd *cobra.Command, by string) string {
	if !cmd.Flags().Changed("by") && (os.Getenv("ORDERSAGA_API_KEY") != "" || os.Getenv("ORDERSAGA_API_KEY_FILE") != "") {
		return ""
	}
	return by
}

// keyed is the idempotency key of a call as a flag. It is new for each command: with the same one a command may be repeated.
type keyed struct{ key string }

func (k *keyed) flag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.key, "key", "", "idempotency key: the command takes effect once for a key (default: a new one)")
}

// option is the key for the client; without the flag it makes one, so that an error can name it.
func (k *keyed) option() client.Option {
	k.key = cmp.Or(k.key, newKey())
	return client.WithIdempotencyKey(k.key)
}

// failed adds the key to an error after which the command should be repeated with it.
func (k *keyed) failed(err error) error {
	if err == nil || exitCode(err) != exitUnavailable {
		return err
	}
	return fmt.Errorf("%w\nnext: repeat the command with --key %s; it takes effect once", err, k.key)
}

// Exit codes of commands that use the REST API; 0, 1 and 2 have all commands.
const (
	exitInvalid      = 2
	exitNotFound     = 3
	exitRefused      = 4
	exitNoAccess     = 5
	exitUnavailable  = 6
	exitNotCompleted = 7
)

// errNotCompleted ends a command that has waited for a saga that ended otherwise.
var errNotCompleted = errors.New("it has ended without being completed")

// remoteExitCode is the exit code for an error of the REST API; 0 for other errors.
func remoteExitCode(err error) int {
	var refused *client.Error
	var unreachable *url.Error
	switch {
	case errors.Is(err, errNotCompleted):
		return exitNotCompleted
	case errors.As(err, &refused) && refused.Retryable():
		return exitUnavailable
	case refused != nil:
		return map[int]int{
			http.StatusBadRequest: exitInvalid, http.StatusUnprocessableEntity: exitInvalid, http.StatusNotFound: exitNotFound,
			http.StatusConflict: exitRefused, http.StatusUnauthorized: exitNoAccess, http.StatusForbidden: exitNoAccess,
		}[refused.Status]
	case errors.As(err, &unreachable):
		return exitUnavailable
	}
	return 0
}

// nextStep says what to do about an error of the REST API; empty if nothing helps.
func nextStep(err error) string {
	var refused *client.Error
	var unreachable *url.Error
	if !errors.As(err, &refused) {
		if errors.As(err, &unreachable) {
			return "start the service, or set ORDERSAGA_URL to its address"
		}
		return ""
	}
	return map[string]string{
		client.CodeUnauthenticated:     "set ORDERSAGA_API_KEY; an operator creates a key with: ordersaga keys create",
		client.CodeInsufficientScope:   "use a key with this scope; an operator creates it with: ordersaga keys create",
		client.CodeNotFound:            "ordersaga list and ordersaga sagas show what exists",
		client.CodeCancellationRefused: "ordersaga watch shows how it continues; a captured payment can be refunded",
		client.CodeResolutionRefused:   "ordersaga attention shows the allowed actions",
		client.CodeConflict:            "use another id",
		client.CodeIdempotencyConflict: "use another --key",
		client.CodeStockInsufficient:   "ordersaga stock shows what is available",
		client.CodeInvalid:             "correct the fields that are named, see --help and /docs of the service",
	}[refused.Code]
}

// faultOf is an error of the REST API as the stores would return it, so that both are handled alike.
func faultOf(err error) error {
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code == "" {
		return err
	}
	return &fault.Error{Code: fault.Code(refused.Code), Message: cmp.Or(refused.Detail, refused.Title), Err: err}
}

// converted is a value of the client as the type that the printers have: both have the JSON of the REST API.
func converted[T any](value any) (to T, err error) {
	raw, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(raw, &to)
	}
	return to, err
}
