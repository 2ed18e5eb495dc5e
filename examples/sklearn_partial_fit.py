"""scikit-learn's MLP, one partial_fit after the other. No bug."""

from descent_probe import Probe
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X)
model = MLPClassifier((32,), learning_rate_init=0.01, random_state=0)
probe = Probe("sklearn_partial_fit")
for epoch in range(6):
    for start in range(0, len(X), 200):
        model.partial_fit(X[start : start + 200], y[start : start + 200], classes=range(10))
        probe.step(loss=model.loss_, params=list(zip(model.coefs_, model.intercepts_)))
print(f"loss {model.loss_:.4f}")
