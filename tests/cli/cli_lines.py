"""Command lines that several tests begin with."""

TRAIN = (
    "train --data rows.npy --hidden 4 --epochs 2 --batch-size 10 --train-fraction 0.7 --out m.h5"
)
