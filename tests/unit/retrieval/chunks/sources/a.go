// Copyright 2020 The Authors. All rights reserved.
// Licensed under the MIT license.

// Package shapes measures shapes.
package shapes

import "math"

// Area is the size of a shape, in square metres.
type Area float64

type (
	// Shape has an area.
	Shape interface {
		Size() Area
	}
	circle struct{ r float64 }
)

// Limits of what is drawn.
const (
	Low = 1
	High = 2
)

var ErrNone = errors.New("none") // trailing

// Size gives the area of the circle.
func (c *circle) Size() Area {
	f := func() { type inner struct{} }
	return Area(math.Pow(c.r, 2))
}

func New(r float64) (*circle, error) { return &circle{r}, nil }
