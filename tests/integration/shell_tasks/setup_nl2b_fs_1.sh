#!/bin/bash
# A stand-in: the tasks name a file that their tree does not hold.

make_folder() {
    mkdir -p "$1"
}

make_folder the/first
make_folder the/second
make_folder the/second
echo "the console says that a line longer than forty characters stands here" > the/first/console.txt
echo 'a b c' > the/second/letters
echo 'a b c' > the/second/letters
printf '%s\n' 3 1 2
printf '%s\n' 3 1 2
# done
