#!/usr/bin/env bash
# Adds a screen to Debian's device tree of the Raspberry Pi 3: a simple-framebuffer node at the address where QEMU's
# firmware stand-in puts its power-on framebuffer (640x480, r5g6b5). Linux then offers it as /dev/fb0.
# usage: screen_dtb.sh IN.dtb OUT.dtb
set -euo pipefail
cp "$1" "$2"
node=/chosen/framebuffer@3c100000
set_text() { fdtput -t s "$dtb" "$@"; }
set_int() { fdtput -t i "$dtb" "$@"; }
dtb=$2
fdtput -c "$dtb" $node
set_int /chosen '#address-cells' 1
set_int /chosen '#size-cells' 1
fdtput -t x "$dtb" /chosen ranges
fdtput -t x "$dtb" $node reg 0x3c100000 0x96000
set_text $node compatible simple-framebuffer
set_int $node width 640
set_int $node height 480
set_int $node stride 1280
set_text $node format r5g6b5
set_text $node status okay
