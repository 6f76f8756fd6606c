package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/service"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Create, list, rotate and revoke API keys"}
	cmd.AddCommand(createKeyCommand(), listKeysCommand(), rotateKeyCommand(), revokeKeyCommand())
	return cmd
}

// madeKey is a key right after it was made. The key itself is shown once.
type madeKey struct {
	Secret string `json:"key"`
	auth.Key
}

// withKeys opens the API keys.
func withKeys(cmd *cobra.Command, use func(ctx context.Context, keys auth.Admin) error) error {
	return with(cmd, quietLogger(cmd), service.Parts{}, func(ctx context.Context, s *service.Service) error { return use(ctx, s.APIKeys()) })
}

// printMade prints a key on standard output, and nothing else there: a script may take it from a pipe.
func printMade(cmd *cobra.Command, asJSON bool, made madeKey, note string) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), made)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), note+" Store it now: it is not shown again.")
	_, err := fmt.Fprintln(cmd.OutOrStdout(), made.Secret)
	return err
}

func createKeyCommand() *cobra.Command {
	var name, scopes, caller string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "create", Short: "Create an API key and print it; it is stored as a hash and cannot be shown again", Args: cobra.NoArgs,
		Example: `  ordersaga keys create --name shop --scopes orders:read,orders:write`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			parsed, err := auth.ParseScopes(scopes)
			if err != nil {
				return err
			}
			return withKeys(cmd, func(ctx context.Context, keys auth.Admin) error {
				key, made, err := keys.Create(ctx, name, caller, parsed)
				if err != nil {
					return err
				}
				return printMade(cmd, asJSON, madeKey{key, made}, "The API key "+name+" is created.")
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "name of the caller: the actor in events; it cannot be used again")
	flags.StringVar(&scopes, "scopes", "", "scopes, separated by commas: "+scopeList())
	flags.StringVar(&caller, "caller", "", "namespace of the caller's idempotency keys (default the name); anonymous keeps that of requests without authentication")
	jsonFlag(cmd, &asJSON, "print the key and everything about it as JSON")
	_ = cmd.MarkFlagRequired("name")
	_ = cmd.MarkFlagRequired("scopes")
	return cmd
}

func scopeList() string { return strings.Join(scopeWords(auth.Scopes), ", ") }

func scopeWords(scopes []auth.Scope) []string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return words
}

func listKeysCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List API keys, the revoked ones included; the keys themselves are not known", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKeys(cmd, func(ctx context.Context, keys auth.Admin) error {
				list, err := keys.List(ctx)
				if err != nil {
					return err
				}
				if list == nil {
					list = []auth.Key{}
				}
				return printValue(cmd.OutOrStdout(), asJSON, list, printKeys)
			})
		},
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

func printKeys(w io.Writer, keys []auth.Key) error {
	if len(keys) == 0 {
		_, err := fmt.Fprintln(w, "there are no API keys")
		return err
	}
	rows := [][]string{{"NAME", "SCOPES", "CALLER", "CREATED", "ROTATED", "REVOKED"}}
	for _, k := range keys {
		row := []string{k.Name, strings.Join(scopeWords(k.Scopes), " "), k.Caller}
		for _, at := range []time.Time{k.CreatedAt, k.RotatedAt, k.RevokedAt} {
			if at.IsZero() {
				row = append(row, "-")
			} else {
				row = append(row, at.Format(time.RFC3339))
			}
		}
		rows = append(rows, row)
	}
	return printTable(w, rows...)
}

func rotateKeyCommand() *cobra.Command {
	var overlap string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Replace an API key by a new one of the same caller and print it", Args: cobra.ExactArgs(1),
		Example: `  ordersaga keys rotate shop --overlap 24h
  ordersaga keys rotate shop --overlap 0s   # the former key was leaked`,
		RunE: func(cmd *cobra.Command, args []string) error {
			during, err := config.ParseDuration(overlap)
			if err != nil || during < 0 {
				return fmt.Errorf("--overlap %s: expected a duration, such as 0s, 24h or 7d", overlap)
			}
			return withKeys(cmd, func(ctx context.Context, keys auth.Admin) error {
				key, made, err := keys.Rotate(ctx, args[0], during)
				if err != nil {
					return err
				}
				return printMade(cmd, asJSON, madeKey{key, made},
					"The API key "+args[0]+" is rotated; former keys are valid until "+made.FormerUntil.Format(time.RFC3339)+".")
			})
		},
	}
	cmd.Flags().StringVar(&overlap, "overlap", "24h", "how long the former key stays valid")
	jsonFlag(cmd, &asJSON, "print the key and everything about it as JSON")
	return cmd
}

func revokeKeyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "revoke NAME", Short: "Revoke an API key; every process refuses it within 30 seconds", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withKeys(cmd, func(ctx context.Context, keys auth.Admin) error {
				revoked, err := keys.Revoke(ctx, args[0])
				if err != nil {
					return err
				}
				return printValue(cmd.OutOrStdout(), asJSON, revoked, func(w io.Writer, k auth.Key) error {
					_, err := fmt.Fprintf(w, "%s is revoked since %s; every process refuses it within 30 seconds\n", k.Name, k.RevokedAt.Format(time.RFC3339))
					return err
				})
			})
		},
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}
