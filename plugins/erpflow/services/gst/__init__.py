"""India's goods and services tax: what the law says of numbers, rates and codes, and the returns made of it."""
