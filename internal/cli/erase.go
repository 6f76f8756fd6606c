package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/service"
)

func eraseCommand() *cobra.Command {
	var by string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "erase CUSTOMER", Short: "Make the personal data of a customer unreadable, for ever", Args: cobra.ExactArgs(1),
		Long: `Deletes the key of a customer's profile, and the dead letters that name the customer. The log keeps the encrypted profile, and every hash
still verifies. Repeat the command after an error; it does what is left.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, quietLogger(cmd), service.Parts{Temporal: true}, func(ctx context.Context, s *service.Service) error {
				erased, err := s.Erase(ctx, args[0], by, func(read int) {
					if read%1000 == 0 {
						fmt.Fprintf(cmd.ErrOrStderr(), "%d dead letters searched\n", read)
					}
				})
				if err != nil {
					return err
				}
				return printValue(cmd.OutOrStdout(), asJSON, erased, printErased)
			})
		},
	}
	byFlag(cmd, &by)
	jsonFlag(cmd, &asJSON, "print the result as JSON")
	return cmd
}

func printErased(w io.Writer, e service.Erased) error {
	customer := printable(e.CustomerID)
	switch {
	case e.KeyID != "":
		fmt.Fprintf(w, "customer %s: key %s deleted\n", customer, e.KeyID)
	case e.Before != nil:
		fmt.Fprintf(w, "customer %s: key %s was deleted at %s by %s\n", customer, e.Before.KeyID, e.BeforeAt.Format(time.RFC3339), printable(e.Before.By))
	default:
		fmt.Fprintf(w, "customer %s: no key exists\n", customer)
	}
	for _, id := range e.DeadLetters {
		fmt.Fprintf(w, "dead letter %s deleted\n", printable(id))
	}
	return nil
}
