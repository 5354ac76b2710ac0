"""A model judged where its data are: DuckDB computes the loss, the same text serves Postgres."""

import duckdb
import numpy as np

import losskit

rng = np.random.default_rng(0)
shops = np.array(["north", "south", "west"])[rng.integers(0, 3, 100_000)]
demand = rng.poisson(4.0, 100_000).astype(float)
forecast = np.exp(rng.normal(1.35, 0.2, 100_000))
forecast[(shops == "west") & (rng.random(100_000) < 0.001)] = -1.0  # a bug upstream

loss = losskit.poisson
query = loss.to(
    "sql", query="mean", table="sales", target="demand", prediction="forecast", group_by="shop"
)
with duckdb.connect() as database:
    table = {"shop": shops, "demand": demand, "forecast": forecast}
    database.register("sales", table)
    print("shop   mean loss  rows   predictions outside (0, ∞)")
    for row in sorted(database.execute(query).fetchall()):
        shop, mean, _, count, *_, outside = row
        print(f"{shop:6} {'NULL' if mean is None else f'{mean:.6f}':>9}  {count}  {outside}")

north = shops == "north"
print(f"\nin Python, north: {loss(demand[north], forecast[north]):.6f}")
slope = loss.to("sql", target="demand", prediction="forecast", order=1)
print(f"\nthe gradient in DuckDB's words:\n{slope}")
try:
    print("\nand in PostgreSQL's:", loss.to("sql", dialect="postgres", order=1), sep="\n")
except losskit.Unsupported as error:
    print(f"\n{error}")
