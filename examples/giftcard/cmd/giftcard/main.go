// Command giftcard is ordersaga with one more flow: the top-up of gift cards.
package main

import (
	"github.com/ordersaga/ordersaga/runtime"

	"example.com/giftcard"
)

func main() { runtime.Main(runtime.Add(&giftcard.Flow, giftcard.New)) }
