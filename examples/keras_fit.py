"""Keras' fit with a callback. Bug: the learning rate is far too high."""

import keras
import numpy as np
from descent_probe import Probe

keras.utils.set_random_seed(0)
X = np.random.default_rng(0).normal(size=(400, 5)).astype("float32")
y = X @ np.arange(1.0, 6.0, dtype="float32")
model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(3.0), loss="mse")
probe = Probe("keras_fit")
history = model.fit(X, y, epochs=5, batch_size=40, verbose=0, callbacks=[probe.keras()])
print(f"loss {history.history['loss'][-1]:.4g}")
